"""A tool of Code Evolver: one number times the other."""

import json
import sys


def main() -> int:
    given = json.load(sys.stdin)
    return int(given["number"]) * int(given["by"])
