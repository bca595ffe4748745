"""The kinds are plain classes, and tested as such."""

import pytest
from weft_words import Count, Longest


def test_count() -> None:
    assert Count().run("to be or not to be", most=2) == {"be": 2, "to": 2}
    with pytest.raises(ValueError, match="one word at least"):
        Count().run("to be", most=0)


def test_longest() -> None:
    assert Longest().run("a word, longer words") == "longer"
    assert Longest().run("") == ""
