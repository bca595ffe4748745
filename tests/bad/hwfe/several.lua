workflow = { name = "x", steps = {
  a = { language = "pyton", code = "x" },
  b = { depends_on = {"z"} },
  c = 1
} }
