"""How good weft is, by its own measure: the order of dispatch against proved bounds, and replays against their runs.

Nothing here reads a file or a clock: workflows and facts come in, figures go out.
"""
