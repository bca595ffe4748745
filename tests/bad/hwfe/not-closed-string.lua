workflow = { name = "x }
