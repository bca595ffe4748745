"""`fmt`: the same workflow in its normal spelling, with every comment, and nothing left to do the second time."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from weft.formats import Budgets, load
from weft.formats.normal import normal, same
from weft.host.source import read_source
from weft.model import spec

EXAMPLES = Path(__file__).parents[2] / "examples"


def formatted(text: str, name: str = "w.yaml") -> str:
    """The normal form; fails if the workflow changes, a comment is lost, or the second time differs from the first."""
    data = text.encode()
    before = load(data, name, read=read_source)
    assert before.workflow is not None, before.problems
    after = normal(data, name, Budgets(), read_source)
    assert same(before, load(after, name, read=read_source))
    assert normal(after, name, Budgets(), read_source) == after
    assert comments(text) == comments(after.decode())
    return after.decode()


def comments(text: str) -> list[str]:
    return sorted(re.findall(r"#[^\n]*?(?=\s*$)", text, re.M))


CASES = {
    "a spelling": (
        "steps:\n  a: { run: echo }\n  b: { run: echo, depends_on: a }\n  c: { run: echo, 'dependsOn': [a, b] } # both\n",
        "steps:\n  a: { run: echo }\n  b: { run: echo, needs: a }\n  c: { run: echo, 'needs': [a, b] } # both\n",
    ),
    "keys in a block": (
        (
            "steps:\n  a:\n    needs: b\n    # what it does\n    run: |\n      echo 1 # no comment\n\n      echo 2\n"
            "    # about nothing\n\n    timeout: 5m # long\n  b:\n    run: ':'\n"
        ),
        (
            "steps:\n  a:\n    # what it does\n    run: |\n      echo 1 # no comment\n\n      echo 2\n    needs: b\n"
            "    # about nothing\n\n    timeout: 5m # long\n  b:\n    run: ':'\n"
        ),
    ),
    "keys in braces": (
        "steps:\n  a: { timeout: 5m, run: echo a, needs: [] }\n  b: {run: b,depends: a}\n",
        "steps:\n  a: { run: echo a, needs: [], timeout: 5m }\n  b: {run: b,needs: a}\n",
    ),
    "braces over lines": (
        "steps: {\n  a: {\n    timeout: 5m,\n    run: echo a\n  }\n}\n",
        "steps: {\n  a: {\n    run: echo a,\n    timeout: 5m\n  }\n}\n",
    ),
    "braces with a comment stay": (
        "steps: { a: {\n    timeout: 5m, # long\n    run: echo a } }\n",
        "steps: { a: {\n    timeout: 5m, # long\n    run: echo a } }\n",
    ),
    "the head of the file stays": (
        "# what this is\nsteps:\n  a: { run: echo }\n\n# its name\nname: n\n",
        "# what this is\n# its name\nname: n\n\nsteps:\n  a: { run: echo }\n",
    ),
    "listed steps": (
        "steps:\n  - run: echo\n    id: a\n  - needs: a\n    # c\n    run: echo\n    id: b # b\n",
        "steps:\n  - id: a\n    run: echo\n  - id: b # b\n    # c\n    run: echo\n    needs: a\n",
    ),
    "an empty line behind a block that moves": (
        "steps:\n  - id: a\n    run: echo\n    on_error: continue\n    description: |\n      first\n\n",
        "steps:\n  - id: a\n    description: |\n      first\n    run: echo\n    on_error: continue\n",
    ),
    "a comment in the way of a dash": (
        "steps:\n  - run: echo\n    # its id\n    id: a\n",
        "steps:\n  - run: echo\n    # its id\n    id: a\n",
    ),
    "tabs": (
        (
            "steps:\n\ta:\n\t\tneeds: b\n\t\t# a comment\n"
            "\t\trun: |\n\t\t\tif true; then\n\t\t\t\techo tab\n\t\t\tfi\n\tb: { run: echo }\n"
        ),
        (
            "steps:\n  a:\n    # a comment\n"
            "    run: |\n      if true; then\n      \techo tab\n      fi\n    needs: b\n  b: { run: echo }\n"
        ),
    ),
    "white space": (
        "steps:   \n  a:  \n    run: |  \n      echo   \n\n      x\n    # c  \n\n\n",
        "steps:\n  a:\n    run: |  \n      echo   \n\n      x\n    # c\n",
    ),
    "line ends of another system": (
        "steps:\r\n  a:\r\n    run: |\r\n      echo\r\n      x\r\n",
        "steps:\n  a:\n    run: |\n      echo\n      x\n",
    ),
    "no line end at the end": ("steps: {a: {run: echo}}", "steps: {a: {run: echo}}\n"),
    "a block that keeps its end": (
        "steps:\n  a:\n    timeout: 5m\n    run: |+\n      echo\n\n\n  b: { run: echo }\n",
        "steps:\n  a:\n    timeout: 5m\n    run: |+\n      echo\n\n\n  b: { run: echo }\n",
    ),
    "anchors and aliases inside one value": (
        "steps:\n  a:\n    timeout: 5m\n    run: &code |\n      echo\n  b: { timeout: 1m, run: *code }\nname: n\n",
        "name: n\nsteps:\n  a:\n    run: &code |\n      echo\n    timeout: 5m\n  b: { run: *code, timeout: 1m }\n",
    ),
    "an alias is not put before its anchor": (
        "steps: { a: { with: { x: &v 1 }, run: 'echo' , env: { y: 'z' } } }\noutputs: { o: *v }\n",
        "steps: { a: { run: 'echo', with: { x: &v 1 } , env: { y: 'z' } } }\noutputs: { o: *v }\n",
    ),
    "comments below a value go with it": (
        "steps:\n  a:\n    with:\n      x: 1\n      # y: 2\n    run: echo\n    # z\n  # next\n  b: { run: echo }\n",
        "steps:\n  a:\n    run: echo\n    with:\n      x: 1\n      # y: 2\n    # z\n  # next\n  b: { run: echo }\n",
    ),
    "the rest of the file": (
        (
            "max_parallel: 2\nsteps: { a: { run: echo, retry: { delay: 1s, times: 2 }, resources: { p: 1 } } }\n"
            "resources: { p: { slots: 2 } }\ninputs:\n  x:\n    default: 1\n    type: integer\n"
        ),
        (
            "inputs:\n  x:\n    type: integer\n    default: 1\nresources: { p: { slots: 2 } }\nmax_parallel: 2\n"
            "steps: { a: { run: echo, resources: { p: 1 }, retry: { times: 2, delay: 1s } } }\n"
        ),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_cases(case: str) -> None:
    given, wanted = CASES[case]
    assert formatted(given) == wanted


def test_a_byte_order_mark_goes() -> None:
    assert normal(b"\xef\xbb\xbfsteps: {a: {run: echo}}\n", "w.yaml", Budgets()) == b"steps: {a: {run: echo}}\n"


def test_json_is_indented_in_order() -> None:
    text = '{"steps": {"b": {"depends_on": "a", "run": "echo"}, "a": {"sleep": 1.50, "expect": 1e1}}, "name": "n"}'
    wanted = """{
  "name": "n",
  "steps": {
    "b": {
      "run": "echo",
      "needs": "a"
    },
    "a": {
      "sleep": 1.50,
      "expect": 1e1
    }
  }
}
"""
    assert formatted(text, "w.json") == wanted


def test_another_format_in_json_is_only_indented() -> None:
    trace = Path(__file__).parents[1] / "formats" / "traces"
    files = sorted(trace.glob("*.json")) if trace.exists() else []
    for path in files:
        data = path.read_bytes()
        assert json.loads(normal(data, path.name, Budgets())) == json.loads(data)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_examples(path: Path) -> None:
    formatted(path.read_text(), str(path))


# ---- any file ----

_STEP_KEYS = {key.name: key for key in spec.RECORDS["step"].keys}
_VALUES: dict[str, list[Any]] = {
    "with": [{"x": 1, "y": "two # no comment"}, {}],
    "env": [{"A": "b"}],
    "timeout": ["5m", 3],
    "retry": [2, {"times": 1, "delay": "1s", "when": ["timeout"]}, {"when": ["exit 3"], "times": 1}],
    "on_error": ["continue"],
    "priority": [3],
    "title": ["a title", "it's: odd"],
    "expect": ["90s"],
    "if": ["true", "always()"],
    "description": ["first\n\nthen\n", " edges "],
    "cwd": ["sub"],
}
_SCRIPTS = ["echo", "echo 1\necho 2\n", "if true; then\n  echo '# x'\nfi\n\n", "a & b *c &d\n", "  indented\nless\n"]


@st.composite
def files(draw: Any) -> str:
    """A workflow as text, in all styles, its keys in any order, with comments wherever they may stand."""
    counter = iter(range(10_000))

    def comment(indent: int) -> str:
        blank = "\n" * draw(st.integers(0, 1))
        return f"{blank}{' ' * indent}# c{next(counter)}\n{blank}" if draw(st.integers(0, 3)) == 0 else ""

    def scalar(value: Any, indent: int) -> str:
        if isinstance(value, str) and "\n" in value and not value.startswith(" ") and draw(st.booleans()):
            head = "|" if value.endswith("\n") and not value.endswith("\n\n") else "|-" if not value.endswith("\n") else "|+"
            lines = value.removesuffix("\n").split("\n")
            return f"{head}\n" + "\n".join(f"{' ' * indent}{line}" if line else "" for line in lines)
        return json.dumps(value)

    def mapping(value: dict[str, Any], indent: int, ordered: bool, prefix: str = "") -> str:
        keys = list(value) if ordered else draw(st.permutations(list(value)))
        text = ""
        for n, key in enumerate(keys):
            item = value[key]
            lead = comment(indent) if n or not prefix else ""
            text += lead + (prefix if not n and prefix else " " * indent) + spelled(key) + ":"
            if isinstance(item, dict) and item and draw(st.booleans()):
                text += f"{trail()}\n" + mapping(item, indent + 2, key not in _RECORDS and indent > 0)
            elif isinstance(item, dict) and draw(st.booleans()):
                inner = list(item.items()) if key not in _RECORDS else draw(st.permutations(list(item.items())))
                text += " { " + ", ".join(f"{k}: {json.dumps(v)}" for k, v in inner) + " }" + trail() + "\n"
            else:
                written = scalar(item, indent + 2)
                text += f" {written}" + ("" if "\n" in written else trail()) + "\n"
        return text + comment(indent)

    def trail() -> str:
        return f" # t{next(counter)}" if draw(st.integers(0, 3)) == 0 else ""

    def spelled(key: str) -> str:
        return draw(st.sampled_from([key, "depends_on", "dependsOn"])) if key == "needs" else key

    steps: dict[str, dict[str, Any]] = {}
    for n in range(draw(st.integers(1, 3))):
        body: dict[str, Any] = {"run": draw(st.sampled_from(_SCRIPTS))}
        if n:
            body["needs"] = draw(st.sampled_from([f"s{n - 1}", [f"s{n - 1}"], []]))
        for key in draw(st.lists(st.sampled_from(sorted(_VALUES)), unique=True, max_size=5)):
            body[key] = draw(st.sampled_from(_VALUES[key]))
        steps[f"s{n}"] = body
    head = {"name": "n", "max_parallel": 2, "defaults": {"retry": 1, "timeout": "1m"}, "outputs": {"o": "${{ steps.s0.output }}"}}
    top = {key: head[key] for key in draw(st.lists(st.sampled_from(sorted(head)), unique=True))}
    text = comment(0)
    for key in draw(st.permutations([*top, "steps"])):
        if key != "steps":
            text += mapping({key: top[key]}, 0, True)
        elif draw(st.booleans()):
            text += "steps:\n" + "".join(comment(2) + f"  {id_}:\n" + mapping(body, 4, False) for id_, body in steps.items())
        else:
            text += "steps:\n" + "".join(mapping({"id": id_, **body}, 4, False, "  - ") for id_, body in steps.items())
    return text


_RECORDS = {"retry", "defaults"}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(files())
def test_any_file(text: str) -> None:
    formatted(text)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(files())
def test_keys_are_in_order(text: str) -> None:
    """In what has no comment and no kept end, nothing keeps a key from its place."""
    text = (
        re.sub(r" *#[^\n]*", "", text) if "'# x'" not in text and "# no comment" not in text else "steps: { s0: { run: echo } }"
    )
    if "|+" in text or "&d" in text:
        return
    after = formatted(text)
    order = [key.name for key in spec.RECORDS["workflow"].keys]
    found = [line.partition(":")[0] for line in after.splitlines() if re.match(r"[a-z_]+:", line)]
    assert found == sorted(found, key=order.index)
