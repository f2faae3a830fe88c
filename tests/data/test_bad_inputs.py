"""The corpus of broken files: each gives one line with its place and what to do."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import yaml

from hfkit.config import FinetuneConfig
from hfkit.data.columns import find_columns
from hfkit.data.labels import LabelReader
from hfkit.data.record import strict
from hfkit.data.source import read
from hfkit.errors import HfkitError, InputError
from hfkit.registry import TASKS

FOLDER = Path(__file__).parent.parent / "bad_inputs"
CASES = yaml.safe_load((FOLDER / "expected.yaml").read_text(encoding="utf-8"))
ROLES = TASKS["classification"].columns


def rows_of(name: str, flags: dict) -> list:
    """Read a file as training does."""
    if "label_names" in flags:
        flags = {**flags, "label_names": str(FOLDER / flags["label_names"])}
    config = FinetuneConfig(**flags)
    records = list(strict(read(str(FOLDER / name), config)))
    names = list(dict.fromkeys(name for record in records for name in record.fields))
    sample = [record.fields for record in records]
    columns = find_columns(names, sample, ROLES, config, need_label=True)
    labels = LabelReader.from_settings(config)
    rows = []
    for record in records:
        try:
            row = columns.row(record.fields)
            if isinstance(columns.columns["label"], str):
                row["label"] = labels.read(row["label"])
        except InputError as error:
            raise InputError(error.message, place=record.place, hint=error.hint) from error
        rows.append(row)
    return rows


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['file']}-{case.get('flags', '')}")
def test_file_says_what_is_wrong(case):
    flags = case.get("flags", {})
    if case["exit"] == 0:
        assert len(rows_of(case["file"], flags)) == case["rows"]
        return
    with pytest.raises(HfkitError) as caught, warnings.catch_warnings():
        rows_of(case["file"], flags)
    message = str(caught.value)
    assert caught.value.exit_code == case["exit"]
    assert case["says"] in message
    assert "\n" not in message and message.isprintable()


def test_every_file_of_the_corpus_is_expected():
    files = {path.name for path in FOLDER.iterdir()} - {"expected.yaml"}
    used = {case["file"] for case in CASES}
    used |= {case.get("flags", {}).get("label_names") for case in CASES}
    assert files <= used
