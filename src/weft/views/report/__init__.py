"""`weft report`: a run as one page of HTML that needs nothing else: no network, no other file, and hardly any script.

- Everything is drawn when the page is written; the script in it sorts the table and names what is under the pointer.
- Whatever comes from outside goes through `text.writer`. A content policy lets nothing run but that one script.
- The size is bounded by what can be looked at, not by the run: see the constants ending in MAX.
"""

from weft.views.report.chronicle import Chronicle
from weft.views.report.page import render

__all__ = ["Chronicle", "render"]
