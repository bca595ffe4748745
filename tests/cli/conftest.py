"""A folder of its own for each test of the command line."""

from pathlib import Path

import pytest
from door import Weft


@pytest.fixture
def weft(tmp_path: Path) -> Weft:
    return Weft(tmp_path)
