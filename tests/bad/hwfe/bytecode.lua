load("\27Lua")()
workflow = {}
