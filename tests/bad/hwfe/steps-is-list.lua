workflow = { name = "x", steps = { { code = "x" } } }
