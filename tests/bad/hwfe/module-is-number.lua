workflow = { name = "x", steps = {
  a = { language = "wasm", module = 5 }
} }
