workflow = { name = "x", steps = {
  a = "echo hi"
} }
