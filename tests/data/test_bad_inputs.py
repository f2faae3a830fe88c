"""The corpus of broken files: each gives one line with its place and what to do."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import yaml

from hfkit.config import FinetuneConfig
from hfkit.data.dataset import load_rows
from hfkit.errors import HfkitError, RowError
from hfkit.registry import TASKS, make_task

FOLDER = Path(__file__).parent.parent / "bad_inputs"
CASES = yaml.safe_load((FOLDER / "expected.yaml").read_text(encoding="utf-8"))


def rows_of(name: str, flags: dict, task: str = "classification") -> list:
    """Read a file as training does."""
    if "label_names" in flags:
        flags = {**flags, "label_names": str(FOLDER / flags["label_names"])}
    config = FinetuneConfig(**flags)
    entry = TASKS[task]
    roles = {role.replace("label?", "label"): what for role, what in entry.columns.items()}
    kind, source = entry.label_kind, str(FOLDER / name)
    data = load_rows(source, config, config, roles, label_kind=kind, strictness=config)
    if task == "ner":  # only all tags together show that a scheme is unknown
        try:
            make_task("ner", {}).learn(data.rows)
        except RowError as error:
            raise data.located(error) from error
    return data.rows


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['file']}-{case.get('flags', '')}")
def test_file_says_what_is_wrong(case, caplog):
    flags, task = case.get("flags", {}), case.get("task", "classification")
    if case["exit"] == 0:
        caplog.set_level("INFO")
        assert len(rows_of(case["file"], flags, task)) == case["rows"]
        assert case.get("notes", "") in caplog.text
        return
    with pytest.raises(HfkitError) as caught, warnings.catch_warnings():
        rows_of(case["file"], flags, task)
    message = str(caught.value)
    assert caught.value.exit_code == case["exit"]
    assert case["says"] in message
    assert "\n" not in message and message.isprintable()


def test_every_file_of_the_corpus_is_expected():
    files = {path.name for path in FOLDER.iterdir()} - {"expected.yaml", "commands.yaml"}
    used = {case["file"] for case in CASES}
    commands = (FOLDER / "commands.yaml").read_text(encoding="utf-8")
    used |= {name for name in files if f"{{bad}}/{name}" in commands}
    used |= {case.get("flags", {}).get("label_names") for case in CASES}
    assert files <= used
