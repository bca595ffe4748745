"""Expressions of YAML workflows in weft's own language: for `condition`, and for texts of agents and requests.

What that language lacks (arithmetic, dates, files, the environment) raises `NotLowered`: it is evaluated when the step runs, by
`weft.guests.ghccli`. What can be lowered means the same in both.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from weft.formats.ghyaml_expression import Node, paths_in
from weft.model.evaluate import evaluate
from weft.model.expression import parse
from weft.model.tokens import ExpressionError
from weft.model.workflow import Value

Key: TypeAlias = str | int


class NotLowered(Exception):
    """`what` it is that has no counterpart."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a step while a file is loaded: its type, and for an agent its name. `inside`: its action is the second
    step of a sub-workflow, whose output `response` is that of the action."""

    type: str
    agent: str = ""
    inside: bool = False


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """What paths may begin with. `env` is None where the environment is not known yet. `step`: whose expression it is."""

    steps: Mapping[str, Known]
    parameters: Mapping[str, Value]
    env: Mapping[str, str] | None
    step: str


_PLAIN = re.compile(r"[A-Za-z_][\w]*", re.ASCII)
_SAME: Final = {"upper": "upper", "lower": "lower", "trim": "trim", "toString": "to_text"}
_OF_TEXTS: Final = {"startsWith": "starts_with", "endsWith": "ends_with", "split": "split", "replace": "replace"}
_OF_ANY: Final = {"first": "first", "last": "last", "toNumber": "to_number", "toJson": "to_json", "fromJson": "from_json"}
_BOOLEAN: Final = ("==", "!=", "<", "<=", ">", ">=")


LOWERED_CHARS_MAX: Final = 4096
"""Of a text of ours, in which parts of the other may stand several times: it doubles with each level that has such a part."""


def lower(node: Node, names: Names) -> str:
    """The expression as text of our language. Raises NotLowered."""
    return _folded(_lower(node, names), node, names)


def _folded(made: str, node: Node, names: Names) -> str:
    """What is known already as its value: it may be about the environment, which is nobody's business afterwards. Raises
    NotLowered for what has become too long."""
    if len(made) > LOWERED_CHARS_MAX:
        raise NotLowered("so much")
    if names.env is None or not all(root in ("env", "parameters") for root, _ in paths_in(node)):
        return made
    try:
        return _json(evaluate(parse(made), {}))
    except ExpressionError:
        return made  # it fails when the step is about to start, which is when it is asked


def _lower(node: Node, names: Names) -> str:
    kind, *parts = node
    match kind:
        case "lit":
            return _json(parts[0])
        case "path":
            return _path(parts[0], parts[1], names)
        case "list":
            return f"[{', '.join(lower(part, names) for part in parts[0])}]"
        case "not":
            return f"!{truth(parts[0], names)}"
        case "if":
            return f"({truth(parts[0], names)} ? {lower(parts[1], names)} : {lower(parts[2], names)})"
        case "op":
            return _operator(parts[0], parts[1], parts[2], names)
        case "call":
            return _call(parts[0], parts[1], names)
    if parts[1] == ["lit", "length"]:
        return f'length(default({lower(parts[0], names)}, ""))'
    raise NotLowered("an index that is computed")


def truth(node: Node, names: Names) -> str:
    """The expression as one that is true or false, by the rules of JavaScript. Raises NotLowered."""
    return _folded(_truth(node, names), node, names)


def _truth(node: Node, names: Names) -> str:
    if is_boolean(node):
        return lower(node, names)
    if node[0] == "lit":
        return _json(bool(node[1]) or isinstance(node[1], list | dict))
    if node[0] == "op" and node[1] in ("&&", "||"):
        return f"({truth(node[2], names)} {node[1]} {truth(node[3], names)})"
    value = lower(node, names)
    if value in ("true", "false"):
        return value
    return f'!({value} == null || {value} == false || {value} == 0 || {value} == "")'


def is_boolean(node: Node) -> bool:
    """Whether it gives true or false whatever it is given."""
    if node[0] == "op":
        return node[1] in _BOOLEAN or (node[1] in ("&&", "||") and is_boolean(node[2]) and is_boolean(node[3]))
    functions = ("contains", "startsWith", "endsWith", "equals", "empty", "notEmpty", "toBoolean")
    return node[0] == "not" or (node[0] == "call" and node[1] in functions)


def _is_text(node: Node) -> bool:
    """Whether it is sure to give a text."""
    if node[0] == "op":
        return node[1] == "+" and (_is_text(node[2]) or _is_text(node[3]))
    return node[0] == "lit" and isinstance(node[1], str)


def _json(value: Value) -> str:
    return msgspec.json.encode(value).decode()


def _operator(sign: str, left: Node, right: Node, names: Names) -> str:
    if sign in ("&&", "||"):
        if is_boolean(left) and is_boolean(right):
            return f"({lower(left, names)} {sign} {lower(right, names)})"
        yes, no = (right, left) if sign == "&&" else (left, right)
        return f"({truth(left, names)} ? {lower(yes, names)} : {lower(no, names)})"
    a, b = lower(left, names), lower(right, names)
    if sign == "??":
        return f"({a} == null ? {b} : {a})"
    if sign == "+" and (_is_text(left) or _is_text(right)):
        return f'join([{a}, {b}], "")'
    if sign in "+-*/%":
        raise NotLowered("arithmetic")
    if sign in ("==", "!="):
        return f"({a} {sign} {b})"
    there = [f"{text} != null" for node, text in ((left, a), (right, b)) if node[0] != "lit"]
    return f"({' && '.join([*there, f'{a} {sign} {b}'])})"


def _call(name: str, arguments: Sequence[Node], names: Names) -> str:
    given = [lower(argument, names) for argument in arguments]
    texts = [f"to_text({argument})" for argument in given]
    if name in _SAME:
        return f"{_SAME[name]}({given[0] if name == 'toString' else texts[0]})"
    if name in _OF_TEXTS:
        defaults = {"split": ['","'], "replace": ['""', '""']}.get(name, [])
        return f"{_OF_TEXTS[name]}({', '.join([*texts, *defaults[len(texts) - 1 :]])})"
    if name in _OF_ANY:
        return f"{_OF_ANY[name]}({given[0]})"
    match name:
        case "contains":
            return f'contains(default({given[0]}, ""), {given[1]})'
        case "length":
            return f'length(default({given[0]}, ""))'
        case "join":
            return f"join(default({given[0]}, []), {texts[1] if len(texts) > 1 else _json(',')})"
        case "default":
            return f'({given[0]} == null || {given[0]} == "" ? {given[1] if len(given) > 1 else _json("")} : {given[0]})'
        case "equals":
            return f"({given[0]} == {given[1]})"
        case "empty" | "notEmpty":
            test = " || ".join(f"{given[0]} == {nothing}" for nothing in ("null", '""', "[]", "{}"))
            return f"({test})" if name == "empty" else f"!({test})"
    raise NotLowered(f"the function `{name}`")


# ---- paths ----


def keyed(base: str, keys: Sequence[Key], *, optional: bool = True) -> str:
    """A path with what follows it; null where that is missing."""
    return base + "".join(map(_key, keys)) + "?" * bool(optional and keys)


def _key(key: Key) -> str:
    if isinstance(key, str) and key.isdecimal() and len(key) < 10:
        return f"[{key}]"
    return f".{key}" if isinstance(key, str) and _PLAIN.fullmatch(key) else f"[{_json(key)}]"


def _path(root: str, keys: Sequence[Key], names: Names) -> str:
    if keys and keys[-1] == "length":
        return f'length(default({_path(root, keys[:-1], names)}, ""))'
    match root:
        case "variables":
            return keyed("inputs", keys, optional=len(keys) > 1)
        case "parameters":
            return _json(_inside(names.parameters, keys))
        case "env":
            if names.env is None:
                raise NotLowered("the environment")
            return _json(names.env.get(str(keys[0])) if len(keys) == 1 else None)
        case "workflow":
            if len(keys) == 1 and keys[0] in ("id", "name"):
                return f"run.{keys[0]}"
            if keys == ["currentStepId"]:
                return _json(names.step)
            raise NotLowered("the time of the run")
    if not keys:  # the root is `steps`
        raise NotLowered("`steps` without the name of one")
    return _step(str(keys[0]), keys[1:], names)


def _inside(value: Value, keys: Sequence[Key]) -> Value:
    for key in keys:
        if isinstance(value, list):
            value = value[key] if isinstance(key, int) and -len(value) <= key < len(value) else None
        else:
            value = value.get(key) if isinstance(value, dict) else None
    return value


def step_path(step: str) -> str:
    return f"steps['{step}']"  # an id needs no escapes


def output_of(step: str, known: Known) -> str:
    """The output of what a step does."""
    return keyed(step_path(step), ["output", "response"] if known.inside else ["output"], optional=known.inside)


def _step(step: str, keys: Sequence[Key], names: Names) -> str:
    known, at = names.steps[step], step_path(step)
    output = output_of(step, known).removesuffix("?")
    if not keys:
        return output
    key, rest = keys[0], keys[1:]
    if key in ("result", "output") and rest:
        return _step(step, rest, names)
    status = f"{at}.status"
    if key == "success":
        return f'({status} == "succeeded")'
    if key == "error":
        return f"{at}.error.message?"
    if key == "status" and known.type != "http":
        return f'({status} == "succeeded" ? "completed" : {status})'
    if key == "executionTime" and known.type != "script":
        raise NotLowered("the time that a step took")
    if key == "result" and known.type != "condition":
        return f'({status} == "succeeded" ? "success" : {status} == "skipped" ? "skipped" : "failure")'
    return _RECORDS[known.type](output, at, [key, *rest], known)


def reads_status(keys: Sequence[Key], known: Known) -> bool:
    """Whether this part of a step tells how it ended, so that who asks wants to run whatever that was."""
    if len(keys) != 1:
        return len(keys) > 1 and keys[0] in ("result", "output") and reads_status(keys[1:], known)
    ends = {"success", "error", "status", "result", "exitCode", "stderr"}
    return keys[0] in ends - ({"result"} if known.type == "condition" else {"status"} if known.type == "http" else set())


def _script(output: str, at: str, keys: list[Key], known: Known) -> str:
    if keys == ["output"]:
        return keyed(output, ["stdout"])
    if keys in (["exitCode"], ["stderr"]):
        other = "exit_code" if keys == ["exitCode"] else "tail"
        return f"default({keyed(output, keys, optional=False)}, {at}.error.{other}?)"
    if keys[0] in ("stdout", "exitCode", "stderr", "executionTime", "outputs"):
        return keyed(output, keys)
    return keyed(output, ["outputs", *keys])


def _agent(output: str, at: str, keys: list[Key], known: Known) -> str:
    if keys in (["response"], ["output"]):
        return output
    if keys == ["agentId"]:
        return _json(known.agent)
    raise NotLowered("a part of an answer")


def _http(output: str, at: str, keys: list[Key], known: Known) -> str:
    first, *rest = keys
    if first in ("status", "statusCode"):
        return keyed(output, ["status", *rest])
    if first in ("headers", "url"):
        return keyed(output, keys)
    return keyed(output, ["body", *(rest if first in ("body", "data", "output", "outputs") else keys)])


def _other(output: str, at: str, keys: list[Key], known: Known) -> str:
    if known.type == "condition" and keys[0] == "output":
        return keyed(output, ["result"])
    return keyed(output, ["message"] if keys[0] == "output" else keys)


_RECORDS: Final[dict[str, Callable[[str, str, list[Key], Known], str]]] = {
    "script": _script,
    "agent": _agent,
    "http": _http,
    "condition": _other,
    "delay": _other,
}


def value_with(value: Value, parts: Callable[[str], Any], names: Names) -> Value:
    """A value with its texts in our templates. `parts` reads a text. Raises NotLowered."""
    if isinstance(value, dict):
        return {key: value_with(item, parts, names) for key, item in value.items()}
    if isinstance(value, list):
        return [value_with(item, parts, names) for item in value]
    if not isinstance(value, str):
        return value
    pieces = [(text if node is None else None, node and lower(node, names)) for text, node, _ in parts(value)]
    return "".join(escaped(text) if text is not None else f"${{{{ {made} }}}}" for text, made in pieces)


def escaped(text: str) -> str:
    """A text in which nothing is a template of ours, nor becomes one with what follows it."""
    text = text.replace("${{", "$${{")
    body = text.rstrip("$")
    return text if body == text else f'{body}${{{{ "{text[len(body) :]}" }}}}'
