workflow = { name = "x", steps = { a = { code = "function run() end", n = 1/0 } } }
