workflow = { name = "x", steps = {
  a = { language = "python" },
  b = { language = "shell", code = "" },
  c = { language = "shell", code = "   " }
} }
