workflow = {
  name = "four_sleeps",
  description = "The demonstration, with four tasks that each sleep a second",

  steps = {
    init = {
      language = "lua",
      code = [[
function run()
  print("🚀 Initializing...")
  return "initialized"
end
      ]]
    },
    
    -- These 4 tasks run in parallel (all depend only on init)
    task_a = {
      depends_on = {"init"},
      language = "shell",
      code = "echo 'Task A' && sleep 1 && echo 'result_a'"
    },
    
    task_b = {
      depends_on = {"init"},
      language = "python",
      code = [[
def run(inputs=None):
    import time
    print("Task B")
    time.sleep(1)
    return "result_b"
      ]]
    },
    
    task_c = {
      depends_on = {"init"},
      language = "python",
      code = [[
import time

def run(inputs=None):
    print("Task C")
    time.sleep(1)
    return "result_c"
      ]]
    },
    
    task_d = {
      depends_on = {"init"},
      language = "shell",
      code = "echo 'Task D' && sleep 1 && echo 'result_d'"
    },
    
    -- Merge runs after all tasks complete
    merge = {
      depends_on = {"task_a", "task_b", "task_c", "task_d"},
      language = "lua",
      code = [[
function run(inputs)
  print("Merging results...")
  for k, v in pairs(inputs) do
    print("  " .. k .. ": " .. tostring(v))
  end
  return "merged"
end
      ]]
    }
  }
}
