workflow = { name = "x", steps = {
  a = { language = "python", code = [[
def run(:
    pass
]] }
} }
