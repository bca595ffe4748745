workflow = { name = "x", steps = {
  a = { language = "pyhton", code = "x" },
  b = { language = "ruby", code = "x" },
  c = { language = 5, code = "x" }
} }
