workflow = { name = "x", steps = {
  a = 5
} }
