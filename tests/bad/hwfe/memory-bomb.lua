workflow = { a = ("x"):rep(1e8), b = ("y"):rep(1e8), c = ("z"):rep(1e8) }
