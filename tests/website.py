"""What the pages of the site load from other hosts: `python tests/website.py site` names it."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

ELSEWHERE = re.compile(r"\s*(https?:)?//", re.IGNORECASE)
# What a browser fetches by itself; a link is only followed by the reader.
LOADING = {"src", "srcset", "poster", "data", "action"}
FETCHED = {"icon", "manifest", "modulepreload", "preload", "stylesheet", "prefetch", "preconnect",
           "dns-prefetch", "apple-touch-icon"}  # fmt: skip
IN_STYLES = re.compile(r"""(?:@import\s*|url\()\s*["']?((?:https?:)?//[^"')\s]+)""", re.IGNORECASE)
# The theme's program fetches this for diagrams, and only for them.
DIAGRAM = re.compile(r'class="[^"]*\bmermaid\b')


class Page(HTMLParser):
    """Collects what a page loads from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at an element's attributes."""
        given = {name: value or "" for name, value in attrs}
        names = LOADING & given.keys()
        if tag == "link" and FETCHED & set(given.get("rel", "").lower().split()):
            names = names | {"href"}
        self.found += [given[name] for name in sorted(names) if ELSEWHERE.match(given[name])]
        self.found += IN_STYLES.findall(given.get("style", ""))


def loaded_from_elsewhere(folder: Path) -> list[str]:
    """Each asset that a page or a style sheet under the folder takes from another host, as
    ``file: address``."""
    found: list[str] = []
    for path in sorted(folder.rglob("*")):
        if path.suffix not in (".html", ".css"):
            continue
        text = path.read_text("utf-8")
        addresses = IN_STYLES.findall(text) if path.suffix == ".css" else _of_page(text)
        found += [f"{path.relative_to(folder)}: {address}" for address in addresses]
    return found


def _of_page(text: str) -> list[str]:
    page = Page()
    page.feed(text)
    styles = re.findall(r"<style[^>]*>(.*?)</style>", text, re.DOTALL | re.IGNORECASE)
    found = page.found + [address for style in styles for address in IN_STYLES.findall(style)]
    return found + (["a diagram, which the theme's program draws with help from elsewhere"]
                    if DIAGRAM.search(text) else [])  # fmt: skip


def main() -> None:
    """Leave with a message where something is loaded from elsewhere, or nothing was built."""
    folder = Path(sys.argv[1])
    if not list(folder.rglob("*.html")):
        sys.exit(f"{folder}: there is no page")
    found = loaded_from_elsewhere(folder)
    if found:
        sys.exit("\n".join(["loaded from elsewhere:", *found]))


if __name__ == "__main__":
    main()
