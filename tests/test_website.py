"""The pages of docs/ make a site whose links hold, and which loads nothing from elsewhere."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from browsing import PHONE, needs_browser, visit
from website import loaded_from_elsewhere

ROOT = Path(__file__).parent.parent
SETTINGS = (ROOT / "mkdocs.yml").read_text("utf-8")


def pages_of(part: Any) -> list[str]:
    """The pages that a part of the navigation names."""
    if isinstance(part, str):
        return [part]
    parts = part.values() if isinstance(part, dict) else part
    return [page for one in parts for page in pages_of(one)]


def test_each_page_stands_in_the_navigation_once() -> None:
    named = pages_of(yaml.safe_load(SETTINGS)["nav"])
    assert sorted(named) == sorted(path.name for path in (ROOT / "docs").glob("*.md"))


def test_a_page_that_is_left_out_is_not_there() -> None:
    for page in re.findall(r"^ *# - .*: (\S+\.md)$", SETTINGS, re.MULTILINE):
        assert not (ROOT / "docs" / page).exists(), f"mkdocs.yml: {page} can be uncommented"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if importlib.util.find_spec("mkdocs") is None or importlib.util.find_spec("material") is None:
        pytest.skip("mkdocs-material is not installed: whether the site builds is NOT checked")
    folder = tmp_path_factory.mktemp("site") / "site"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "ignore", "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_the_site_has_a_page_for_each_file(site: Path) -> None:
    built = {path.stem for path in site.glob("*.html")} - {"404"}
    assert built == {path.stem for path in (ROOT / "docs").glob("*.md")}


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    assert len(list(site.rglob("*.css"))) > 1
    assert loaded_from_elsewhere(site) == []


@needs_browser
@pytest.mark.parametrize("page", ["index", "cli"])
def test_a_browser_asks_nobody_else(page: str, site: Path) -> None:
    seen = visit(site / f"{page}.html", width=PHONE, dark=True)
    assert seen.errors == [] and seen.overflow == 0
    assert seen.requests
    assert [address for address in seen.requests if not address.startswith("file:")] == []


def test_the_search_knows_the_pages(site: Path) -> None:
    index = (site / "search" / "search_index.json").read_text("utf-8")
    assert "benchmarks.html" in index


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.html", '<script src="https://unpkg.com/x.js"></script>'),
        ("a.html", '<link rel="preconnect" href="//fonts.gstatic.com">'),
        ("a.html", '<img srcset="https://example.org/a.png 2x">'),
        ("a.html", "<style>@import 'https://example.org/a.css';</style>"),
        ("a.html", '<div style="background: url(https://example.org/a.png)"></div>'),
        ("a.html", '<pre class="mermaid">graph LR</pre>'),
        ("a.css", "a { src: url('https://example.org/a.woff2') }"),
    ],
)
def test_what_is_loaded_from_elsewhere_is_found(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content, "utf-8")
    assert len(loaded_from_elsewhere(tmp_path)) == 1


def test_what_a_reader_follows_is_not_loaded(tmp_path: Path) -> None:
    page = (
        '<a href="https://example.org">there</a><link rel="canonical" href="https://example.org">'
    )
    (tmp_path / "a.html").write_text(page + '<script src="here.js"></script>', "utf-8")
    assert loaded_from_elsewhere(tmp_path) == []
