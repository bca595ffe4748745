"""kill -9 of the engine at 50 random moments: no completed step runs again, every other step ends, nothing is left behind."""

import pytest
from kill9 import moments

CHUNKS = 10


@pytest.mark.timeout(300)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_kill9(chunk: int) -> None:
    assert moments(seed=chunk * 1000, wanted=5) >= 5
