workflow = { name = 5, steps = {
  a = { code = "function run() end" }
} }
