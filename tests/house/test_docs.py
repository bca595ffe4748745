"""The documents: every page can be reached, every link leads somewhere, every bad sample is seen."""

from pathlib import Path

import house_checks as checks

ROOT = Path(__file__).parents[2]
TOP = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")


def pages() -> list[Path]:
    return [*(ROOT / name for name in TOP), *sorted((ROOT / "docs").rglob("*.md"))]


def linked(page: Path) -> set[Path]:
    return {(page.parent / target).resolve() for target in checks.links(page.read_text())}


def test_links_lead_somewhere() -> None:
    broken = [f"{page.relative_to(ROOT)} → {target}" for page in pages() for target in linked(page) if not target.exists()]
    assert broken == []


def test_every_page_is_linked_from_an_index() -> None:
    reached = linked(ROOT / "README.md") | linked(ROOT / "docs" / "README.md")
    assert [page.relative_to(ROOT) for page in pages() if page.name != "README.md" and page not in reached] == []


def test_links_are_read_off() -> None:
    text = "See [a](docs/a.md#part), [b](https://example.com/b.md) and\n```\n[c](c.md)\n```\nthen [d](../d.md)."
    assert checks.links(text) == ["docs/a.md", "../d.md"]
