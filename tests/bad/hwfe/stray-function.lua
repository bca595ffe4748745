workflow = { name = "x", steps = {
  a = { language = "shell", run = function() end },
  b = { language = "js", code = function() end }
} }
