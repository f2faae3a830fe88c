"""What a run decided is believed only where it is of its kind: a folder may be anybody's."""

from __future__ import annotations

from pathlib import Path

import pytest

from hfkit.errors import InputError
from hfkit.run.decisions import DECISIONS, read_decisions


def folder_with(folder: Path, decisions: str) -> Path:
    (folder / DECISIONS).write_text(f'{{"decisions": {decisions}}}', "utf-8")
    return folder


def test_good_ones_are_read(tmp_path: Path) -> None:
    assert read_decisions(tmp_path) == {}
    text = '{"null_threshold": -1.5, "unanswerable": true, "scale": [0, 5]}'
    found = read_decisions(folder_with(tmp_path, text))
    assert found["null_threshold"] == -1.5
    assert found["scale"] == [0, 5]
    assert read_decisions(folder_with(tmp_path, '{"of_a_task_of_yours": {"x": [1]}}'))


@pytest.mark.parametrize(
    ("decisions", "says"),
    [
        ("5", "its decisions are not an object"),
        ('{"null_threshold": NaN}', "null_threshold: expected a finite number"),
        ('{"null_threshold": 1e400}', "null_threshold: expected a finite number"),
        ('{"null_threshold": "x"}', "null_threshold: expected a finite number"),
        ('{"null_threshold": true}', "null_threshold: expected a finite number"),
        ('{"max_answer_length": -1}', "max_answer_length: expected a number of tokens"),
        ('{"max_answer_length": NaN}', "max_answer_length: expected a number of tokens"),
        ('{"unanswerable": 1}', "unanswerable: expected true or false"),
        ('{"scale": "x"}', "scale: expected two numbers"),
        ('{"scale": [0, 1, 2]}', "scale: expected two numbers"),
        ('{"scale": [5, 0]}', "scale: expected two numbers"),
        ('{"slope": NaN, "offset": 0}', "slope: expected a finite number"),
        ('{"slope": 1}', "slope and offset go together"),
        ('{"threshold": [0.5]}', "threshold: expected a finite number"),
    ],
)
def test_others_are_damage_with_their_place(tmp_path: Path, decisions: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        read_decisions(folder_with(tmp_path, decisions))
    assert str(tmp_path / DECISIONS) in str(caught.value)
