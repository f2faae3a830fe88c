"""The page in a real browser: each form gives the answer of `hfkit predict`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from browsing import DESKTOP, PHONE, needs_browser, visit
from live import Live, live, predicted

pytestmark = needs_browser
TEXT = "the storm & <b>some</b> bread, near 'my' drum 文本"
DONE = {"wait": "#answer .best, #answer .passage, #answer .failed"}
READY = {"wait": "body[data-ready]"}


def fill(row: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"fill": f"#field-{role}", "text": text} for role, text in row.items()]


def percent(score: float) -> str:
    return f"{100 * score:.1f} %"


def ask(server: Live, name: str, row: dict[str, Any], width: int, *, dark: bool) -> str:
    """Ask on the page, and return what the answer says."""
    steps = [READY, {"select": "#model", "value": name}, *fill(row), {"click": "#ask"}, DONE]
    if not server.url.startswith("http"):
        raise AssertionError
    seen = visit(server.url, [*steps, {"read": "#answer"}], width=width, dark=dark)
    assert not seen.errors
    assert seen.overflow <= 0
    assert all(address.startswith(server.url) for address in seen.requests)
    return str(seen.read[0])


@pytest.mark.parametrize(("width", "dark"), [(DESKTOP, False), (PHONE, True)])
def test_each_form_gives_the_answer_of_predict(
    server: Live, models: Path, width: int, dark: bool
) -> None:
    pair = {"text": TEXT, "text_pair": "a song today"}
    asked = {"question": "what?", "context": TEXT}
    masked = {"text": "the [MASK] and some bread"}

    (one,) = predicted(models, "topics", {"text": TEXT}, scores=True)
    found = ask(server, "topics", {"text": TEXT}, width, dark=dark)
    assert found.startswith(f"{one['label']} {percent(one['score'])}")
    assert all(percent(score) in found for score in one["scores"].values())

    (one,) = predicted(models, "several", {"text": TEXT}, scores=True)
    found = ask(server, "several", {"text": TEXT}, width, dark=dark)
    assert found.startswith(", ".join(one["labels"]) or "no label")

    (one,) = predicted(models, "number", {"text": TEXT})
    assert float(ask(server, "number", {"text": TEXT}, width, dark=dark)) == pytest.approx(
        one["value"], rel=1e-3
    )
    (one,) = predicted(models, "names", {"text": TEXT})
    found = ask(server, "names", {"text": TEXT}, width, dark=dark)
    assert all(f"{e['text']}{e['label']}" in found for e in one["entities"])
    assert one["entities"]

    (one,) = predicted(models, "answers", asked)
    found = ask(server, "answers", asked, width, dark=dark)
    assert found.startswith(f"{one['answer']} {percent(one['score'])}")
    assert TEXT in found

    (one,) = predicted(models, "masks", masked)
    found = ask(server, "masks", masked, width, dark=dark)
    assert found.startswith(one["filled"])

    (one,) = predicted(models, "vectors", pair)
    found = ask(server, "vectors", pair, width, dark=dark)
    assert float(found.split()[0]) == pytest.approx(one["score"], rel=1e-3)

    (one,) = predicted(models, "next", pair)
    found = ask(server, "next", pair, width, dark=dark)
    assert found.startswith(one["label"])


def test_models_that_write(writers: Live, models: Path) -> None:
    for name in ("river", "short"):
        (one,) = predicted(models, name, {"text": TEXT})
        found = ask(writers, name, {"text": TEXT}, PHONE, dark=False)
        assert found.split() == one["text"].split()


def test_labels_are_named_on_the_page_and_the_token_is_a_password(models: Path) -> None:
    token = "token-of-the-page"
    with live(models / "nli", "-t", "zero-shot", token=token) as server:
        row = {"text": TEXT, "candidates": "rain, music, bread"}
        (one,) = predicted(models, "nli", {"text": TEXT}, labels="rain,music,bread", scores=True)
        steps = [READY, *fill(row), {"press": "#field-text", "key": "Control+Enter"}, DONE,
                 {"read": "#answer"}, {"read": "#code"}, {"click": "#tab-python"},
                 {"read": "#code"}]  # fmt: skip
        headers = {"Authorization": f"Bearer {token}"}
        seen = visit(server.url, steps, headers=headers)
        assert not seen.errors
        answer, curl, python = seen.read
        assert answer.startswith(f"{one['label']} {percent(one['score'])}")
        environment = {**os.environ, "HFKIT_SERVE_TOKEN": token}
        environment.pop("HF_HUB_OFFLINE", None)
        run = {"capture_output": True, "text": True, "env": environment}
        done = subprocess.run(["bash", "-c", curl], **run)
        body = {"rows": [{"text": TEXT, "candidates": ["rain", "music", "bread"]}], "scores": True}
        assert (
            httpx.Response(200, text=done.stdout).json()
            == server.post("/answer", body, headers=headers).json()
        )
        done = subprocess.run([sys.executable, "-c", python], **run)
        assert done.returncode == 0, done.stderr
        assert f"label='{one['label']}'" in done.stdout


def test_errors_are_shown_and_the_snippets_work(server: Live) -> None:
    steps = [READY, {"select": "#model", "value": "topics"}, *fill({"text": "   "}),
             {"click": "#ask"}, DONE, {"read": "#answer"}, *fill({"text": TEXT}),
             {"click": "#tab-python"}, {"read": "#code"}]  # fmt: skip
    seen = visit(server.url, steps)
    assert "the text is empty" in seen.read[0]
    environment = {k: v for k, v in os.environ.items() if k != "HF_HUB_OFFLINE"}
    done = subprocess.run(
        [sys.executable, "-c", seen.read[1]], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert "TextClassificationOutputElement(label=" in done.stdout


def test_the_parts_of_the_page_are_small_and_ask_nobody(server: Live) -> None:
    for name in ("", "page/page.js", "page/page.css", "page/answers.js", "page/snippets.js"):
        answer = httpx.get(server.url + name)
        assert answer.status_code == 200
        assert len(answer.content) < 20_000
        assert "http://" not in answer.text.replace("http://www.w3.org", "")
        assert "https://" not in answer.text
