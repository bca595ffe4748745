workflow = { steps = {
  a = { language = "python", code = [[
x = 1
]] },
} }
