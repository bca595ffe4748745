workflow = { "a", "b" }
