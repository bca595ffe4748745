-- A workflow file of the Hybrid Workflow Engine (pip install 'weft[lua,js]'): weft run examples/parallel_demo.lua --schedule dataflow
workflow = {
  name = "parallel_demo",
  description = "Four languages, two steps at once",
  steps = {
    greet = { code = "function run() return 'hello' end" },
    shout = { language = "shell", depends_on = {"greet"}, code = [[ echo "{\"said\": $INPUT_GREET}" ]] },
    count = { language = "python", depends_on = {"greet"}, code = "def run(inputs): return len(inputs['greet'])" },
    both = { language = "js", depends_on = {"shout", "count"}, code = "function run(i) { return [i.shout.said, i.count] }" },
  },
}
