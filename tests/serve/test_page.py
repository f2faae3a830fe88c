"""The page in a real browser: each form gives the answer of `hfkit predict`."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from browsing import DESKTOP, PHONE, needs_browser, visit
from live import TOKEN, Live, predicted

pytestmark = needs_browser
TEXT = "the storm & <b>some</b> bread, near 'my' drum 文本"
DONE = {"wait": "#answer .best, #answer .passage, #answer .failed"}
READY = {"wait": "body[data-ready]"}
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def fill(row: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"fill": f"#field-{role}", "text": text} for role, text in row.items()]


def percent(score: float) -> str:
    return f"{100 * score:.1f} %"


def ask(server: Live, rows: dict[str, dict[str, Any]], width: int, *, dark: bool) -> list[str]:
    """Ask models, by name, one after the other on the page; return what the answers say."""
    steps: list[dict[str, Any]] = [READY]
    for name, row in rows.items():  # to choose a model takes the last answer away
        steps += [{"select": "#model", "value": name}, *fill(row), {"click": "#ask"}, DONE]
        steps += [{"read": "#answer"}, {"evaluate": TOO_WIDE}]
    seen = visit(server.url, steps, width=width, dark=dark)
    assert not seen.errors
    assert dict(zip(rows, seen.read[1::2], strict=True)) == dict.fromkeys(rows, 0)
    assert all(address.startswith(server.url) for address in seen.requests)
    return [str(answer) for answer in seen.read[::2]]


@pytest.mark.parametrize(("width", "dark"), [(DESKTOP, False), (PHONE, True)])
def test_each_form_gives_the_answer_of_predict(
    server: Live, models: Path, width: int, dark: bool
) -> None:
    plain, pair = {"text": TEXT}, {"text": TEXT, "text_pair": "a song today"}
    rows = {
        "topics": plain, "several": plain, "number": plain, "names": plain,
        "answers": {"question": "what?", "context": TEXT},
        "masks": {"text": "the [MASK] and some bread"}, "vectors": pair, "next": pair,
    }  # fmt: skip
    found = dict(zip(rows, ask(server, rows, width, dark=dark), strict=True))

    def expected(name: str, **more: Any) -> dict[str, Any]:
        (one,) = predicted(models, name, rows[name], **more)
        return one

    one = expected("topics", scores=True)
    assert found["topics"].startswith(f"{one['label']} {percent(one['score'])}")
    assert all(percent(score) in found["topics"] for score in one["scores"].values())
    one = expected("several", scores=True)
    assert found["several"].startswith(", ".join(one["labels"]) or "no label")
    one = expected("number")
    assert float(found["number"]) == pytest.approx(one["value"], rel=1e-3)
    one = expected("names")
    assert all(f"{e['text']}{e['label']}" in found["names"] for e in one["entities"])
    assert one["entities"]
    one = expected("answers")
    assert found["answers"].startswith(f"{one['answer']} {percent(one['score'])}")
    assert TEXT in found["answers"]
    assert found["masks"].startswith(expected("masks")["filled"])
    one = expected("vectors")
    assert float(found["vectors"].split()[0]) == pytest.approx(one["score"], rel=1e-3)
    assert found["next"].startswith(expected("next")["label"])


@pytest.mark.parametrize(("width", "dark"), [(DESKTOP, True), (PHONE, False)])
def test_what_is_withheld_is_named_and_scores_have_their_scale(
    decided: Live, decided_models: Path, width: int, dark: bool
) -> None:
    plain, pair = {"text": TEXT}, {"text": TEXT, "text_pair": "a song today"}
    asked = {"question": "what?", "context": TEXT}
    rows = {"topics": plain, "several": plain, "answers": asked, "names": plain, "graded": pair}
    found = dict(zip(rows, ask(decided, rows, width, dark=dark), strict=True))

    def expected(name: str) -> dict[str, Any]:
        (one,) = predicted(decided_models, name, rows[name])
        assert one.get("abstained", True), "the model is not that sure"
        return one

    for name in ("topics", "answers"):
        one = expected(name)
        words = f"not sure enough: {one['withheld']} {percent(one['score'])}"
        assert found[name].startswith(words)
    assert f"not sure enough: {', '.join(expected('several')['withheld'])}\n" in found["several"]
    kept, withheld = (expected("names")[key] for key in ("entities", "withheld"))
    assert not kept
    assert found["names"].startswith("0 names")
    assert all(f"{e['text']} · {e['label']}" in found["names"] for e in withheld)
    score = f"{expected('graded')['score']:.4g}"
    assert found["graded"].startswith(f"{score} on a scale of 0 to 5")
    assert "%" not in found["graded"]


def test_the_bar_of_a_score_is_as_long_as_its_place_on_the_scale(
    decided: Live, decided_models: Path
) -> None:
    row = {"text": TEXT, "text_pair": "a song today"}
    (one,) = predicted(decided_models, "graded", row)
    width = "parseFloat(document.querySelector('#answer .bar > div').style.width)"
    steps = [READY, {"select": "#model", "value": "graded"}, *fill(row), {"click": "#ask"}, DONE,
             {"evaluate": width}]  # fmt: skip
    assert visit(decided.url, steps).read == [pytest.approx(100 * one["score"] / 5, abs=0.1)]


def test_both_snippets_tell_what_is_withheld(decided: Live) -> None:
    steps = [READY, *fill({"text": TEXT}), {"read": "#code"}, {"click": "#tab-python"},
             {"read": "#code"}]  # fmt: skip
    curl, python = visit(decided.url, steps).read
    told = subprocess.run(["bash", "-c", curl], capture_output=True, text=True)
    printed = subprocess.run([sys.executable, "-c", python], capture_output=True, text=True)
    assert printed.returncode == 0, printed.stderr
    (answer,) = json.loads(told.stdout)
    assert answer["abstained"]
    assert ast.literal_eval(printed.stdout) == [answer]


def test_models_that_write(server: Live, models: Path) -> None:
    rows = {"river": {"text": TEXT}, "short": {"text": TEXT}}
    for name, found in zip(rows, ask(server, rows, PHONE, dark=False), strict=True):
        (one,) = predicted(models, name, rows[name])
        assert found.split() == one["text"].split()


def test_labels_are_named_on_the_page_and_the_token_is_a_password(
    guarded_labels: Live, models: Path
) -> None:
    server, token = guarded_labels, TOKEN
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


def test_an_answer_does_not_stay_beside_another_text(server: Live) -> None:
    is_old, time = "document.querySelector('#answer').matches('.old')", {"read": "#time"}
    steps = [READY, {"select": "#model", "value": "topics"}, *fill({"text": TEXT}),
             {"click": "#ask"}, DONE, {"evaluate": is_old}, *fill({"text": "rain"}),
             {"evaluate": is_old}, time, {"click": "#ask"},
             {"wait": "#answer:not(.old)"}, time, *fill({"text": ""}), {"evaluate": is_old},
             {"read": "#answer"}, time]  # fmt: skip
    before, after, said, again, emptied, answer, nothing = visit(server.url, steps).read
    assert (before, after, emptied) == (False, True, False)
    assert said == "of the text before"
    assert again.endswith(" ms")
    assert (answer, nothing) == ("The answer appears here.", "")


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


def test_markup_is_text(guarded_labels: Live) -> None:
    markup = "<img src=x onerror=document.title=1>"
    row = {"text": markup, "candidates": f"{markup}, bread"}
    steps = [READY, *fill(row), {"click": "#ask"}, DONE, {"read": "#answer"}, {"read": "#code"},
             {"click": "#tab-python"}, {"read": "#code"}, {"count": "#answer img, #code img"},
             {"evaluate": "document.title"}]  # fmt: skip
    seen = visit(guarded_labels.url, steps, headers={"Authorization": f"Bearer {TOKEN}"})
    assert not seen.errors
    assert all(markup in text for text in seen.read[:3])
    assert seen.read[3:] == [0, "nli · hfkit serve"]
