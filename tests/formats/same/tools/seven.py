"""A tool of Code Evolver."""


def main() -> int:
    return 7
