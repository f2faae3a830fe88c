"""A page, opened in real headless Chromium by tests/browser/visit.mjs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

SCRIPT = Path(__file__).parent / "browser" / "visit.mjs"
DESKTOP, PHONE = 1280, 390  # widths in CSS pixels


class Visit(NamedTuple):
    """What a visit of a page saw."""

    errors: list[str]
    requests: list[str]
    read: list[Any]
    overflow: int


def lacking() -> str:
    """What a machine lacks to open pages; empty where it lacks nothing."""
    chromium = os.environ.get("HFKIT_CHROMIUM", "/usr/bin/chromium")
    if not Path(chromium).exists():
        return f"no {chromium}"
    if shutil.which("node") is None:
        return "no node"
    if not (SCRIPT.parent / "node_modules" / "playwright-core").is_dir():
        return "no playwright-core (npm ci --prefix tests/browser)"
    return ""


needs_browser = pytest.mark.skipif(bool(lacking()), reason=f"PAGES ARE NOT LOOKED AT: {lacking()}")


def visit(
    url: str | Path,
    steps: list[dict[str, Any]] | None = None,
    *,
    width: int = DESKTOP,
    dark: bool = False,
    headers: dict[str, str] | None = None,
    screenshot: str | Path | None = None,
) -> Visit:
    """Open a page, take the steps in order (visit.mjs lists them), and return what was seen."""
    order = {
        "url": url.absolute().as_uri() if isinstance(url, Path) else url,
        "width": width,
        "height": 900,
        "dark": dark,
        "headers": headers or {},
        "steps": steps or [],
        "screenshot": None if screenshot is None else str(screenshot),
    }
    done = subprocess.run(
        ["node", str(SCRIPT)], input=json.dumps(order), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return Visit(**json.loads(done.stdout))
