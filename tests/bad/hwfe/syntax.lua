workflow = {
  name = "x",
  steps = { a = { code = "x" }
