workflow = { name = "x", steps = {
  a = { code = "function run() end", depend_on = {"b"} },
  b = { code = "function run() end" }
} }
