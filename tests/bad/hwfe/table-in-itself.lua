workflow = { name = "x" }
workflow.steps = workflow
