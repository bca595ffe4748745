workflow = "x"
