workflow = { name = "x", steps = {
  a = { code = "function run() end", depends_on = {"c"} },
  b = { code = "function run() end", depends_on = {"a"} },
  c = { code = "function run() end", depends_on = {"b"} }
} }
