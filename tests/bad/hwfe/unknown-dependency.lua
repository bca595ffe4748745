workflow = { name = "x", steps = {
  fetch = { code = "function run() end" },
  parse = { code = "function run() end", depends_on = {"fetch", "fecth"} }
} }
