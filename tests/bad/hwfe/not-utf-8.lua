workflow = { name = "\xff", steps = {} }
