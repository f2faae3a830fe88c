"""What the data say stays in the data: no text, and no token, in what hfkit writes or prints."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toys import toy_rows, write_csv

from hfkit.cli.app import run as command_line
from hfkit.cli.console import start_notes
from hfkit.errors import InputError

SECRET = "Zyxwvutsrq"  # in every text; spelled with letters that the toy tokenizer knows
TOKEN = "hf_" + "Ab1" * 11
KEY = "sk-" + "Cd2_" * 8
OTHER_TOKEN = "correct horse battery staple"
Say = Callable[..., tuple[int, str, str]]


def classification() -> list[dict[str, Any]]:
    return [{**row, "text": f"{row['text']} {SECRET}"} for row in toy_rows(40)]


def entities() -> list[dict[str, Any]]:
    rows = []
    for number in range(40):
        text = f"day {number} {SECRET} was here"
        start = text.index(SECRET)
        entity = {"start": start, "end": start + len(SECRET), "label": "PER"}
        rows.append({"text": text, "entities": [entity]})
    return rows


def questions() -> list[dict[str, Any]]:
    rows = []
    for number in range(40):
        context = f"on day {number} it was {SECRET} again"
        answer = {"text": [SECRET], "answer_start": [context.index(SECRET)]}
        rows.append({"question": f"what was {SECRET}?", "context": context, "answers": answer})
    return rows


def pairs() -> list[dict[str, Any]]:
    return [
        {"text_a": f"{SECRET} {number}", "text_b": f"{SECRET} {number % 5}", "score": number % 6}
        for number in range(40)
    ]


DATA: dict[str, tuple[Callable[[], list[dict[str, Any]]], list[str]]] = {
    "classification": (classification, []),
    "ner": (entities, []),
    "qa": (questions, []),
    "similarity": (pairs, ["-t", "similarity"]),
}


@pytest.fixture
def say(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Say:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def run(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        code = command_line([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return code, out, err

    return run


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def holders(folder: Path, word: str) -> list[str]:
    """The files under `folder` that hold a word, whatever the case."""
    wanted = word.lower().encode()
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [str(path) for path in files if wanted in path.read_bytes().lower()]


@pytest.mark.parametrize("task", DATA)
def test_no_text_of_the_data_is_in_the_run(
    say: Say, tmp_path: Path, tiny_base_folder: Path, task: str, measured
) -> None:
    rows, flags = DATA[task]
    data = written(tmp_path / "data.jsonl", rows())
    out = tmp_path / "run" / "out"
    code, printed, said = say(
        "finetune", data, "-m", tiny_base_folder, "-o", out, *flags, "--validation", data,
        "--test", data, "--max-steps", 3, "--checkpoint-every", 1, "--keep-checkpoints",
        "--max-length", 64, "--device", "cpu", "-v",
    )  # fmt: skip
    assert code == 0, said
    assert SECRET.lower() not in (printed + said).lower()
    assert any((out / "checkpoints").iterdir())
    code, printed, said = say("evaluate", out, data, "-o", tmp_path / "run/scores.json", "--json")
    assert code == 0, said
    assert SECRET.lower() not in (printed + said).lower()
    if task == "classification":
        code, printed, said = say("export", out, data)
        assert code == 0, said
        assert SECRET.lower() not in (printed + said).lower()
    found = holders(tmp_path / "run", SECRET)
    measured("P1", f"texts of {task} in its run folder, notes and scores",
             files=len([p for p in (tmp_path / "run").rglob("*") if p.is_file()]),
             found=len(found))  # fmt: skip
    assert found == []


def test_a_crash_report_holds_no_text(
    say: Say, tmp_path: Path, tiny_classifier_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hfkit.commands import evaluate

    def broken(*arguments: Any, **settings: Any) -> None:
        raise KeyError(SECRET)

    monkeypatch.setattr(evaluate, "open_run", broken, raising=False)
    monkeypatch.setattr("hfkit.run.opening.open_run", broken)
    data = written(tmp_path / "data.jsonl", classification())
    code, printed, said = say("evaluate", tiny_classifier_folder, data, "--device", "cpu")
    assert code == 5
    assert said.count("\n") == 1 and SECRET not in printed + said
    (report,) = (tmp_path / "cache" / "hfkit").iterdir()
    assert SECRET not in report.read_text("utf-8")


@pytest.mark.parametrize("token", [TOKEN, KEY, OTHER_TOKEN])
def test_tokens_are_not_printed(
    say: Say, token: str, monkeypatch: pytest.MonkeyPatch, tiny_classifier_folder: Path
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    for arguments in (
        ["predict", f"./{token}", "rain"],
        ["finetune", f"./{token}.csv"],
        ["predict", tiny_classifier_folder, f"./{token}/x.csv", "--debug"],
        ["env"],
        ["config", "show", "--set", f"train={token}"],
    ):
        _, printed, said = say(*arguments)
        assert token not in printed + said


def test_a_note_and_a_traceback_lose_their_tokens(capfd: pytest.CaptureFixture[str]) -> None:
    import logging

    from hfkit.cli.failures import ending

    start_notes()
    logging.getLogger("hfkit.test").warning("the server says: wrong key %s", KEY)
    try:
        raise InputError(f"refused: {TOKEN}")
    except InputError as error:
        ending(error, debug=True).speak()
    said = capfd.readouterr().err
    assert "Traceback" in said and "[secret]" in said
    assert KEY not in said and TOKEN not in said


def test_tokens_are_not_written(
    say: Say, tmp_path: Path, tiny_base_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", OTHER_TOKEN)
    data = write_csv(tmp_path / f"{TOKEN}.csv", toy_rows(40))
    named = write_csv(tmp_path / "validation.csv", toy_rows(20, seed=1))
    out = tmp_path / "out"
    arguments = ["finetune", data, "-m", tiny_base_folder, "-o", out, "--max-steps", 1]
    arguments += ["--validation", named, "--device", "cpu"]
    for _ in range(2):  # the second time it is the same run, and finished
        code, printed, said = say(*arguments)
        assert code == 0, said
        assert TOKEN not in printed + said
    assert holders(out, TOKEN) == []
    assert holders(out, OTHER_TOKEN) == []


def modes(folder: Path) -> set[int]:
    return {stat.S_IMODE(path.lstat().st_mode) for path in (folder, *folder.rglob("*"))}


@pytest.mark.parametrize("private", [True, False])
def test_a_run_is_its_owners_alone(
    say: Say, tmp_path: Path, tiny_base_folder: Path, private: bool
) -> None:
    data = write_csv(tmp_path / "data.csv", toy_rows(40))
    out = tmp_path / "runs" / "out"
    before = os.umask(0o022)
    try:
        code, _, said = say(
            "finetune", data, "-m", tiny_base_folder, "-o", out, "--max-steps", 2,
            "--checkpoint-every", 1, "--keep-checkpoints", "--device", "cpu",
            *([] if private else ["--no-private"]),
        )  # fmt: skip
        assert code == 0, said
        assert os.umask(0o022) == 0o022  # as it was
    finally:
        os.umask(before)
    if private:
        assert modes(out) == {0o700, 0o600}
    else:
        assert stat.S_IMODE(out.stat().st_mode) == 0o755
        assert {stat.S_IMODE(path.stat().st_mode) for path in out.iterdir() if path.is_file()} == {
            0o644
        }
    assert stat.S_IMODE((tmp_path / "runs").stat().st_mode) == 0o755
