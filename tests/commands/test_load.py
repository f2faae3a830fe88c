"""A model kept open: one bad text does not take the answers of the others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from toys import TOPICS, read_jsonl, write_classifier

import hfkit
from hfkit.cli.app import run as command_line
from hfkit.errors import InputError


def test_an_empty_text_has_an_error_in_its_place(tiny_classifier_folder: Path) -> None:
    model = hfkit.load(str(tiny_classifier_folder), device="cpu")
    first, empty, last = model.predict(["rain", " ", "the old oven"])
    assert empty == {"error": "the text is empty"}
    assert {first["label"], last["label"]} <= set(TOPICS)
    assert [first, last] == model.predict(["rain", "the old oven"])
    assert model.predict([]) == []
    assert model.predict("") == [{"error": "the text is empty"}]


def test_a_text_too_long_under_error_has_one_too(tiny_classifier_folder: Path) -> None:
    model = hfkit.load(str(tiny_classifier_folder), device="cpu", on_long="error")
    long, short = model.predict(["rain " * 500, "rain"])
    assert "error" in long and "label" not in long
    assert short["label"] in TOPICS


def test_roles_that_are_not_the_task_s_are_a_mistake_of_the_caller(
    tiny_classifier_folder: Path,
) -> None:
    model = hfkit.load(str(tiny_classifier_folder), device="cpu")
    with pytest.raises(InputError, match="text 2: no text; this task reads text"):
        model.predict(["rain", {"txt": "sun"}])


def test_rows_without_labels_of_their_own_choose_from_those_of_all(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    names = {0: "contradiction", 1: "neutral", 2: "entailment"}
    nli = write_classifier(tmp_path / "nli", id2label=names, label2id={})
    rows = [
        {"text": "rain", "candidates": ["wet", "dry"]},
        {"text": "sun"},
        {"text": "fog", "candidates": None},
    ]
    path, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ["predict", str(nli), str(path), "-t", "zero-shot", "-o", str(out)]
    assert command_line([*command, "--labels", "warm,cold", "--scores"]) == 0
    found = [set(row["prediction"]["scores"]) for row in read_jsonl(out)]
    assert found == [{"wet", "dry"}, {"warm", "cold"}, {"warm", "cold"}]
    assert (
        command_line([*command, "--overwrite"]) == 1
    )  # the first row has its own, the others none
    records = read_jsonl(out)
    assert records[0]["prediction"]["label"] in ("wet", "dry")
    assert all("no labels to choose from" in row["error"] for row in records[1:])
