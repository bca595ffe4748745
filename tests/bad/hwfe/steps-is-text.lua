workflow = { name = "x", steps = "a" }
