workflow = { name = "x", steps = {
  a = { code = "function run() end", depends_on = { 1 } }
} }
