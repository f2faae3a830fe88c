"""The way tests look at pages: it sees errors, requests and pages that are too wide."""

from __future__ import annotations

from pathlib import Path

from browsing import PHONE, needs_browser, visit

PAGE = """<!doctype html><meta charset="utf-8"><title>t</title><style>p {{ width: {width} }}</style>
<input><button onclick="document.querySelector('p').textContent =
document.querySelector('input').value.toUpperCase()">go</button><p>x</p>{more}"""


@needs_browser
def test_a_visit_fills_clicks_and_reads(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(PAGE.format(width="auto", more=""), "utf-8")
    steps = [
        {"fill": "input", "text": "hello"},
        {"click": "button"},
        {"wait": "p", "text": "HELLO"},
        {"read": "p"},
        {"count": "button"},
    ]
    seen = visit(page, steps, width=PHONE, screenshot=tmp_path / "page.png")
    assert seen == ([], [], ["HELLO", 1], 0)
    assert (tmp_path / "page.png").stat().st_size > 1000


@needs_browser
def test_a_visit_sees_errors_requests_and_overflow(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    more = '<img src="missing.png"><script>null.f()</script>'
    page.write_text(PAGE.format(width="2000px", more=more), "utf-8")
    seen = visit(page, width=PHONE)
    assert seen.overflow > 1000
    assert any("missing.png" in error for error in seen.errors)
    assert any("null" in error for error in seen.errors)
    assert [request.rsplit("/", 1)[1] for request in seen.requests] == ["missing.png"]
