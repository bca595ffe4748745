workflow = { name = ("x"):rep(1e8):rep(10) }
