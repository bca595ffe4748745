workflow = { name = "x", steps = {
  a = { language = "shell", code = { "echo" } }
} }
