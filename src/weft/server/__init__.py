"""The door for programs on the same machine: HTTP on loopback, and nothing without its token."""
