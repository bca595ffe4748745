"""Where facts and outputs stay: the journals (sqlite, memory), the output store, the run lock, the index of runs."""
