workflow = {
  name = "totals",
  steps = {
    fetch = { language = "python", code = "def run(): return 7" },
    double = { language = "lua", depends_on = { "fetch" }, code = "function run(inputs) return inputs.fetch * 2 end" },
    triple = { language = "python", depends_on = { "fetch" }, code = "def run(inputs): return inputs['fetch'] * 3" },
    total = { language = "lua", depends_on = { "double", "triple" }, code = "function run(i) return i.double + i.triple end" },
  },
}
