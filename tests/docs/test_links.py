"""Every link between pages of this repository leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("*.md", "[!.]*/*.md", "docs/*/**/*.md", "examples/*/**/*.md", "packages/*/*.md")
PAGES = sorted(page for pattern in FOLDERS for page in ROOT.glob(pattern))
FENCE = re.compile(r"^(```|~~~).*?^\1", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(<?([^)\s>]+)>?(?: \"[^\"]*\")?\)|^\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)


def text_of(page: Path) -> str:
    """Return a page without its code, where brackets mean something else."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    return re.sub(r"`[^`\n]*`", lambda code: code[0].replace("](", "] ("), text)


def anchors_of(page: Path) -> set[str]:
    """Return the anchors that hosts make of a page's headings."""
    seen: dict[str, int] = {}
    anchors = set()
    for heading in HEADING.findall(text_of(page)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        count = seen.setdefault(anchor, 0)
        seen[anchor] += 1
        anchors.add(f"{anchor}-{count}" if count else anchor)
    return anchors


def broken_links(page: Path) -> list[str]:
    broken = []
    for match in LINK.finditer(text_of(page)):
        link = match[1] or match[2]
        target = urlsplit(link)
        if target.scheme or target.netloc:
            continue
        file = (page.parent / unquote(target.path)).resolve() if target.path else page
        if not file.exists():
            broken.append(f"{link}: no such file")
        elif target.fragment and file.suffix == ".md" and target.fragment not in anchors_of(file):
            broken.append(f"{link}: no such heading")
    return broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert broken_links(page) == []


def test_broken_links_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A `code` title\n[a](missing.md) [b](#a-code-title) [c](#nowhere) [d](https://example.org)\n"
        "[e]: other.md\n```\n[f](not-a-link.md)\n```\n",
        encoding="utf-8",
    )
    assert broken_links(page) == [
        "missing.md: no such file",
        "#nowhere: no such heading",
        "other.md: no such file",
    ]
