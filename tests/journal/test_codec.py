"""Facts as bytes, and back."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journal_facts import KINDS, of_type, plain

from weft.core.facts import CancelRequested, Fact, OutputsEvaluated
from weft.journal import codec
from weft.model.errors import MachineError


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of([of_type(kind) for kind in KINDS]), min_size=1, max_size=4))
def test_every_fact_survives(facts: list[Fact]) -> None:
    lines, sums = codec.encode(facts, 0)
    assert not any(b"\n" in line for line in lines)
    assert plain([codec.decode(line) for line in lines]) == plain(facts)
    assert list(codec.unpack_sums(codec.pack_sums(sums))) == sums


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_strategy_makes_every_kind(kind: type[msgspec.Struct]) -> None:
    @settings(max_examples=10, deadline=None)
    @given(of_type(kind))
    def survives(fact: Fact) -> None:
        (line,), _ = codec.encode([fact], 0)
        assert plain(codec.decode(line)) == plain(fact)

    survives()


def test_checksums_are_chained() -> None:
    one, two = CancelRequested(at=1.0, by="one"), CancelRequested(at=2.0, by="two")
    lines, sums = codec.encode([one, two], 0)
    assert codec.encode([two], sums[0]) == (lines[1:], sums[1:])
    assert codec.encode([two], 0)[1] != sums[1:]
    assert codec.encode([two, one], 0)[1][1] != sums[1]


def test_integers_keep_all_their_digits() -> None:
    outputs = {"a": 10**40, "b": [-(10**40), {"c": 2**64 - 1}], "d": True, "e": "x"}
    (line,), _ = codec.encode([OutputsEvaluated(at=1.0, outputs=outputs)], 0)
    back = codec.decode(line)
    assert isinstance(back, OutputsEvaluated)
    assert back.outputs == outputs


def test_a_name_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(MachineError, match=r"udcff.*rename"):
        codec.encode([CancelRequested(at=1.0, by="\udcff")], 0)


@pytest.mark.parametrize(
    "line", [b"", b"{}", b"[]", b'{"fact": "unheard_of", "at": 1}', b'{"fact": "run_ended"}', b"[" * 10_000, b"\xff"]
)
def test_what_is_no_fact_is_a_value_error(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        codec.decode(line)


def test_half_a_checksum_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="cut"):
        codec.unpack_sums(b"12345")
