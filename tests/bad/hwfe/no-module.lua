workflow = { name = "x", steps = {
  a = { language = "wasm", code = "x" }
} }
