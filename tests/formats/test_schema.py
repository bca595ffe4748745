"""Nothing that is made from the table drifts: schema, reader, examples, documents, the examples in the repository."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import hypothesis
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from weft.formats import load
from weft.formats.schema import example, fragment, schema
from weft.host.source import read_source
from weft.model.codes import CODES
from weft.model.keys import Key
from weft.model.options import SETTINGS
from weft.model.problem import Problem
from weft.model.shape import DURATION, RATE, SIZE, Either, ListOf, MapOf, Shape
from weft.model.spec import RECORDS, RESERVED_ENV
from weft.model.units import parse_duration, parse_rate, parse_size
from weft.model.workflow import Value

ROOT = Path(__file__).parents[2]
VALIDATOR = Draft7Validator(schema())
SHAPE_CODES = {"W201", "W202", "W203", "W204", "W205", "W206", "W207", "W208", "W209"}
"""What a schema can say, too."""

CONTEXT: dict[str, Any] = {
    "inputs": {"day": {"default": "monday"}, "sources": {"type": "list"}},
    "secrets": ["TOKEN"],
    "resources": {"database": 2},
    "servers": {"files": {"command": ["mcp-server-files"]}},
    "steps": {"other": {"run": "echo other"}, "fetch": {"run": "echo 42"}},
}
"""A file in which the examples make sense."""

PLACES: dict[str, tuple[str, ...]] = {
    "workflow": (),
    "input": ("inputs", "extra"),
    "pool": ("resources", "extra"),
    "defaults": ("defaults",),
    "retry": ("steps", "extra", "retry"),
    "breaker": ("resources", "extra", "breaker"),
    "server": ("servers", "extra"),
    "step": ("steps", "extra"),
}
REQUIRED: dict[str, dict[str, Value]] = {
    "step": {"run": "echo extra"},
    "retry": {"times": 1},
    "pool": {"slots": 1, "rate": "60/min"},
}
KEYS = [(record, key, spelling) for record in PLACES for key in RECORDS[record].keys for spelling in (key.name, *key.spellings)]


def with_key(record: str, key: Key, spelling: str, value: Value) -> dict[str, Any]:
    """The context with one key more."""
    document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(CONTEXT))
    holder = document
    for part in PLACES[record]:
        holder = holder.setdefault(part, {})
        holder |= {} if part != "extra" or PLACES[record][0] != "steps" else REQUIRED["step"]
    if key.name in RECORDS[record].one_of:
        holder.pop("run", None)
    elif record == "server":
        holder |= {"url": "https://example.org"} if "header" in key.name or key.name == "bearer" else {"command": ["extra"]}
    else:
        holder |= REQUIRED.get(record, {})
    if record == "workflow" and isinstance(value, dict) and isinstance(document.get(key.name), dict):
        value = {**document[key.name], **value}
    holder[spelling] = value
    return document


def archive(name: str) -> tuple[bytes, list[Problem]]:
    return b"steps: { a: { run: echo a } }", []


def told(document: Value) -> list[str]:
    return [problem.code for problem in load(msgspec.json.encode(document), "f.json", read=archive).problems]


@pytest.mark.parametrize(("record", "key", "spelling"), KEYS, ids=[f"{r}-{s}" for r, _, s in KEYS])
def test_examples_hold(record: str, key: Key, spelling: str) -> None:
    value = example(key)
    document = with_key(record, key, spelling, value)
    if key.name == "choices":
        document["inputs"]["extra"] |= {"default": value[0]}
    if key.name == "versions":
        document["steps"]["extra"]["reuse"] = True
    if key.name in ("as", "key", "items_max"):
        document["steps"]["extra"]["for_each"] = [{"name": "one"}]
    assert told(document) == []
    VALIDATOR.validate(document)


def test_every_key_is_described_everywhere() -> None:
    definitions = {"workflow": schema(), **schema()["definitions"]}
    assert definitions.keys() == RECORDS.keys()
    for name, record in RECORDS.items():
        properties = definitions[name]["properties"]
        assert list(properties) == [spelling for key in record.keys for spelling in (key.name, *key.spellings)]
        assert all(property_["description"] and property_["examples"] for property_ in properties.values())
        assert definitions[name]["additionalProperties"] is False
        assert not set(record.later) & set(properties)
        assert set(record.meant.values()) <= set(properties)
        assert not set(record.meant) & (set(properties) | set(record.later))
    Draft7Validator.check_schema(schema())


def shapes(shape: Shape) -> Iterator[Shape]:
    """The shape, and those that it is made of, without records."""
    yield shape
    if isinstance(shape, Either):
        for option in shape.options:
            yield from shapes(option)
    elif isinstance(shape, ListOf | MapOf):
        yield from shapes(shape.item)


def test_shapes_of_an_either_differ_in_kind() -> None:
    kinds = {"Duration": {"number", "string"}, "Record": {"object"}}
    for record in RECORDS.values():
        for key in record.keys:
            for shape in shapes(key.shape):
                if isinstance(shape, Either):
                    accepted = [kinds.get(type(o).__name__) or {fragment(o).get("type", "string")} for o in shape.options]
                    assert len(set().union(*accepted)) == sum(map(len, accepted)), key.name


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, 1, 2.0, 2.5, -1, 10_001, 1_000_001, 2**63, "1", "-1", "true"]),
    st.sampled_from(["", " ", "a", "a-b", "1a", "A_B", "../x", "other", "fetch", "x y", "a\nb", "é"]),
    st.sampled_from(["90s", "1h30m", "30m1h", "0", "10 min", "64MB", "8GiB", "8 GiB", "12", "1.5", "8 gib"]),
    st.sampled_from(["${{ inputs.day }}", "$${{ x }}", "x ${{ y", "auto", "layers", "stop", "json", "string", "power"]),
)
SOME_KEYS = st.sampled_from(
    ["a", "x-y", "1", "A_1", "", "..", "times", "delay", "slots", "type", "default", "timeout", "run", "id"]
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(SOME_KEYS, inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(KEYS), VALUES)
@hypothesis.example(next(where for where in KEYS if where[1].name == "agent"), "")
def test_schema_and_reader_agree(where: tuple[str, Key, str], value: Value) -> None:
    document = with_key(*where, value)
    shape_problems = [code for code in told(document) if code in SHAPE_CODES]
    valid = VALIDATOR.is_valid(document)
    if valid and shape_problems:  # what no schema can say
        text = msgspec.json.encode(value).decode()
        assert shape_problems == ["W205"] * len(shape_problems)
        assert where[1].name in ("when", "retry", "resources", "slots") or '"0"' in text
    else:
        assert valid == (not shape_problems)


NUMBERS = st.from_regex(r"\A[0-9]{1,3}(\.[0-9]{1,2})?\Z")
UNITS = st.lists(st.tuples(NUMBERS, st.sampled_from(["d", "h", "m", "s", "ms"])), max_size=4)


@given(st.one_of(UNITS.map(lambda parts: "".join(n + u for n, u in parts)), st.text("0123456789.dhms ", max_size=5)))
def test_durations_of_schema_and_units_agree(text: str) -> None:
    assert Draft7Validator({"pattern": f"^({DURATION})$"}).is_valid(text) == accepts(parse_duration, text)


@given(
    st.one_of(
        st.text("0123456789.KkMGTiB ", max_size=7), st.from_regex(r"\A[0-9]{1,3}(\.[0-9]{1,2})? ?(B|[kK]B|[MGT]B|[KMGT]iB)?\Z")
    )
)
def test_sizes_of_schema_and_units_agree(text: str) -> None:
    assert Draft7Validator({"pattern": f"^({SIZE})$"}).is_valid(text) == accepts(parse_size, text)


def accepts(parse: Any, text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_docs", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("text", ["60/min", "5/100ms", "1 / 1h30m", "3/day", "60", "60/60", "1/fortnight", "1.5/s", "/s"])
def test_rates_are_what_editors_accept(text: str) -> None:
    assert Draft7Validator({"pattern": f"^({RATE})$"}).is_valid(text) == accepts(parse_rate, text)


def test_pages_are_up_to_date() -> None:
    pages = generator().pages()
    stale = [name for name, text in pages.items() if (ROOT / "docs" / name).read_text() != text]
    assert stale == [], "run `.venv/bin/python docs/generate.py`"


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.weft.yaml")), ids=lambda path: path.name)
def test_examples_in_the_repository(path: Path) -> None:
    found = load(path.read_bytes(), str(path), read=read_source)
    assert found.workflow is not None
    from weft.formats.yaml_source import read_yaml

    document, _ = read_yaml(path.read_bytes(), path.name, 64, 1000)
    assert document is not None
    VALIDATOR.validate(document.value)


CODES_WITH_FILES = [name for name, code in CODES.items() if code.wrong]


@pytest.mark.parametrize("name", CODES_WITH_FILES)
def test_codes_explain_what_happens(name: str) -> None:
    code = CODES[name]
    file = "f.json" if code.wrong.startswith("{") else "f.yaml"
    assert [problem.code for problem in load(code.wrong.encode(), file).problems] == [name]
    assert load(code.right.encode(), file).problems == ()


def test_codes() -> None:
    assert all(code.title[0].islower() and code.why.endswith(".") and code.fix for code in CODES.values())
    assert list(CODES) == sorted(CODES)


def test_settings() -> None:
    names = [setting.name for setting in SETTINGS]
    assert len(set(names)) == len(names)
    workflow = {key.name: key for key in RECORDS["workflow"].keys}
    for setting in SETTINGS:
        assert setting.flag == "--" + setting.name.replace("_", "-")
        assert setting.env in ("", "WEFT_VIEW", "WEFT_" + setting.name.upper())
        assert setting.env not in RESERVED_ENV
        assert setting.help.endswith(".")
        if setting.workflow_key:
            assert workflow[setting.workflow_key].shape == setting.shape
            assert (
                example(msgspec.structs.replace(workflow[setting.workflow_key], example=workflow[setting.name].default))
                == setting.default
            )
        if setting.default not in (None, ""):
            assert Draft7Validator(fragment(setting.shape)).is_valid(setting.default)
