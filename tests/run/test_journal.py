"""What a kill leaves of a prediction is gone on with, and comes out to the byte as without it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from toys import toy_rows, write_csv

from hfkit.commands.predict import write_predictions
from hfkit.config import PredictConfig
from hfkit.errors import InputError
from hfkit.run import journal


class Died(BaseException):
    """As hard an end as there is inside a process."""


@pytest.fixture(autouse=True)
def _note_every_window(monkeypatch):
    monkeypatch.setattr(journal, "EVERY", 0.0)


@pytest.fixture
def rows(tmp_path) -> Path:
    """200 rows, of which some cannot be answered: windows of 32, 64 and 104."""
    path = write_csv(tmp_path / "rows.csv", toy_rows(200, seed=3))
    lines = path.read_text().splitlines()
    for number in (1, 40, 150):
        lines[number] = "," + lines[number].split(",", 1)[1]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def answer(tiny_classifier_folder, rows):
    """Predict; die after so many windows."""

    def predict(output: Path, *, windows: int | None = None, source: Path = rows, **settings):
        seen = 0

        def progress(count: int) -> None:
            nonlocal seen
            seen += 1
            if seen == windows:
                raise Died

        config = PredictConfig(
            model=str(tiny_classifier_folder), inputs=[str(source)], output=str(output),
            device="cpu", threads=1, **settings,
        )  # fmt: skip
        if windows is None:
            return write_predictions(config, progress)
        with pytest.raises(Died):
            write_predictions(config, progress)
        return None

    return predict


@pytest.mark.parametrize("name", ["out.jsonl", "out.csv", "out.tsv"])
@pytest.mark.parametrize("windows", [1, 2, 3])
def test_what_goes_on_comes_out_to_the_byte(tmp_path, answer, name, windows):
    whole = answer(tmp_path / f"whole-{name}")
    out = tmp_path / name
    answer(out, windows=windows)
    part = tmp_path / f"{name}.part"
    with part.open("ab") as file:
        file.write(b"half a li")  # what a kill has left of the next window
    tally = answer(out, resume=True)
    assert out.read_bytes() == (tmp_path / f"whole-{name}").read_bytes()
    assert tally == whole
    assert [p.name for p in tmp_path.glob(f"{name}*")] == [name]


def test_it_may_die_again_and_again(tmp_path, answer):
    answer(tmp_path / "whole.jsonl")
    out = tmp_path / "out.jsonl"
    answer(out, windows=1)
    answer(out, windows=1, resume=True)
    answer(out, windows=1, resume=True)
    answer(out, resume=True)
    assert out.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_rows_that_were_added_meanwhile_are_answered_too(tmp_path, answer, rows):
    few = tmp_path / "few.csv"
    few.write_text("".join(rows.read_text().splitlines(keepends=True)[:100]))
    answer(tmp_path / "out.jsonl", windows=2, source=few)
    few.write_text(rows.read_text())
    answer(tmp_path / "out.jsonl", source=few, resume=True)
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 200


def test_without_an_earlier_command_it_begins_at_the_first_row(tmp_path, answer, caplog):
    caplog.set_level("INFO")
    answer(tmp_path / "whole.jsonl")
    answer(tmp_path / "out.jsonl", resume=True)
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert "nothing to go on with" in caplog.text


def test_the_work_of_hours_is_not_begun_anew_unasked(tmp_path, answer):
    out = tmp_path / "out.jsonl"
    answer(out, windows=2)
    before = (tmp_path / "out.jsonl.part").read_bytes()
    with pytest.raises(InputError, match="not finished") as caught:
        answer(out)
    assert "--resume" in caught.value.hint
    assert (tmp_path / "out.jsonl.part").read_bytes() == before
    answer(out, overwrite=True)
    assert len(out.read_text().splitlines()) == 200
    assert not list(tmp_path.glob("out.jsonl.*"))


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"batch_tokens": 64}, "batch_tokens was null, now 64"),
        ({"scores": True}, "scores was false, now true"),
        ({"max_length": 8}, "max_length was null, now 8"),
    ],
)
def test_another_command_is_refused(tmp_path, answer, settings, names):
    out = tmp_path / "out.jsonl"
    answer(out, windows=2)
    before = (tmp_path / "out.jsonl.part").read_bytes()
    with pytest.raises(InputError, match="another command has begun it") as caught:
        answer(out, resume=True, **settings)
    assert names in caught.value.message
    assert (tmp_path / "out.jsonl.part").read_bytes() == before


def test_other_rows_are_refused(tmp_path, answer, rows):
    out = tmp_path / "out.jsonl"
    answer(out, windows=2)
    lines = rows.read_text().splitlines(keepends=True)
    rows.write_text("".join([*lines[:20], "something else,pos\n", *lines[21:]]))
    with pytest.raises(InputError, match="are not those that were answered"):
        answer(out, resume=True)


def test_damage_is_refused(tmp_path, answer):
    out, part = tmp_path / "out.jsonl", tmp_path / "out.jsonl.part"
    answer(out, windows=2)
    good = part.read_bytes()
    for bad in (good[:100], good[:50] + b"X" + good[51:]):
        part.write_bytes(bad)
        with pytest.raises(InputError, match="damaged"):
            answer(out, resume=True)
        assert part.read_bytes() == bad
    part.write_bytes(good)
    noted = tmp_path / "out.jsonl.part.json"
    said = json.loads(noted.read_text())
    other = [
        {**said, "position": {**said["position"], name: value}}
        for name in said["position"]
        for value in (-1, 10**30, "x", None, 1.5, [], True)
    ]
    for broken in ("{", "[]", "{}", *map(json.dumps, other)):
        noted.write_text(broken)
        with pytest.raises(InputError, match="its journal is damaged"):
            answer(out, resume=True)
    assert part.read_bytes() == good


def test_a_refused_resume_promises_nothing(tmp_path, answer, caplog):
    out = tmp_path / "out.jsonl"
    answer(out, windows=2)
    (tmp_path / "out.jsonl.part").write_bytes(b"x" * 9999)
    caplog.clear()
    with pytest.raises(InputError, match="damaged"):
        answer(out, resume=True)
    assert "goes on" not in caplog.text


def test_a_file_that_was_to_be_replaced(tmp_path, answer):
    out = tmp_path / "out.jsonl"
    out.write_text("old\n")
    answer(out, windows=2, overwrite=True)
    with pytest.raises(InputError, match="exists") as caught:
        answer(out, resume=True)
    assert "--resume --overwrite" in caught.value.hint
    answer(tmp_path / "whole.jsonl")
    answer(out, resume=True, overwrite=True)
    assert out.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_how_errors_are_told_is_no_other_command(tmp_path, answer):
    answer(tmp_path / "out.jsonl", windows=2)
    answer(tmp_path / "out.jsonl", resume=True, error_format="json", quiet=True)


def test_the_input_is_not_written_over(tmp_path, answer, rows):
    part = tmp_path / "new.csv.part"
    part.write_text(rows.read_text())
    for more in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(InputError, match="would write over it"):
            answer(tmp_path / "new.csv", source=part, input_format="csv", **more)
    assert part.read_text() == rows.read_text()


def test_what_cannot_be_read_again_is_refused(tmp_path, answer):
    with pytest.raises(InputError, match="file"):
        answer("-", resume=True)


def test_a_short_prediction_leaves_no_journal(tmp_path, answer, monkeypatch):
    monkeypatch.setattr(journal, "EVERY", 1e9)
    answer(tmp_path / "out.jsonl", windows=2)
    assert not (tmp_path / "out.jsonl.part.json").exists()
    left = (tmp_path / "out.jsonl.part").read_bytes()
    answer(tmp_path / "out.jsonl", resume=True)
    assert (tmp_path / "out.jsonl.part.old-1").read_bytes() == left
