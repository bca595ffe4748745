"""What a selection runs, takes from an earlier run, and leaves out, in a few lines."""

from typing import Final

from weft.core.selection import Chosen
from weft.model.workflow import Workflow
from weft.views.text import names, visible

WIDTH: Final = 100


def render(chosen: Chosen, workflow: Workflow, *, run: str) -> str:
    """`run`: the earlier run. Fan-outs and sub-workflows of which only some parts are run are among what runs."""
    whole = {id_ for id_, given in chosen.given.items() if given.output}
    left_out = set(chosen.left_out)
    steps = [step.id for step in workflow.steps if step.id not in whole and step.id not in left_out]
    lines = [f"runs       {names(steps, WIDTH)}" if steps else "runs       nothing"]
    lines += [f"takes      {names(sorted(whole), WIDTH)} from run {visible(run)}"] if whole else []
    lines += [f"leaves out {names(chosen.left_out, WIDTH)}"] if chosen.left_out else []
    lines += [f"as it was  {names(chosen.changed, WIDTH)}, though it has changed since"] if chosen.changed else []
    return "\n".join(lines)
