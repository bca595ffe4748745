workflow = { name = os.getenv("HOME"), steps = {} }
