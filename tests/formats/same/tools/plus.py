"""A tool of Code Evolver: the sum of two numbers."""

import json
import sys


def main() -> int:
    given = json.load(sys.stdin)
    return int(given["one"]) + int(given["other"])
