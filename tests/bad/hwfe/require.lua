local socket = require("socket")
workflow = {}
