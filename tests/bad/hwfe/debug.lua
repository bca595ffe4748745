debug.sethook()
workflow = {}
