workflow = { name = "x", steps = {
  a = { code = "function run() end" },
  b = { code = "function run() end", depends_on = "a" }
} }
