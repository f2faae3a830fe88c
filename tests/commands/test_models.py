"""`hfkit models`: a base model for every task, language and device; the runs that lie here."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from hfkit import catalogue
from hfkit.cli.app import run
from hfkit.commands.models import FREE, LocalRun, local_runs, recommend, room_of
from hfkit.errors import InputError
from hfkit.registry import TASKS

LANGUAGES = ("en", "zh", "de", "multilingual")
DEVICES = ("cpu", "8GB", "24GB", "80GB")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("task", TASKS)
def test_every_task_and_language_has_an_answer_that_fits(task: str, language: str) -> None:
    for device in DEVICES:
        found = recommend(task, language, device)
        first = found[0]
        assert first.memory_bytes <= FREE * room_of(device)
        assert first.entry.kind in catalogue.KINDS[task] and task not in first.entry.unfit
        assert language in first.entry.languages
        assert len({one.name for one in found}) == len(found)
        assert all(one.memory_bytes <= FREE * room_of(device) for one in found)


def test_more_memory_is_never_worse() -> None:
    small, large = (recommend("ner", "en", device)[0] for device in ("8GB", "80GB"))
    assert small.score and large.score and large.score.value > small.score.value


def test_a_licence_that_forbids_trade_is_said_and_can_be_left_out() -> None:
    found = recommend("translation", "multilingual", "80GB")
    barred = [one for one in found if one.entry.commercial is False]
    assert [one.name for one in barred] == ["facebook/nllb-200-distilled-600M"]
    assert "NOT for commercial use" in barred[0].reason
    free = recommend("translation", "multilingual", "80GB", commercial=True)
    assert free and all(one.entry.commercial for one in free)


def test_other_languages_get_models_of_many() -> None:
    assert all(one.entry.multilingual for one in recommend("ner", "fi", "24GB"))


def test_what_is_not_understood_is_an_error() -> None:
    for wrong in ({"task": "nerr"}, {"task": "ner", "language": "no words"},
                  {"task": "ner", "device": "much"}):  # fmt: skip
        with pytest.raises(InputError):
            recommend(**wrong)
    with pytest.raises(InputError, match="fits into 1GB"):
        recommend("generation", "multilingual", "1GB")


def test_every_figure_has_a_source() -> None:
    for entry in catalogue.entries():
        assert entry.languages and entry.year >= 2018
        for score in entry.scores.values():
            assert score.source.startswith("https://") and 0 < score.value < 100
    names = [entry.name for entry in catalogue.entries()]
    assert len(set(names)) == len(names) and all(name.count("/") == 1 for name in names)


def test_a_language_may_be_named(capsys) -> None:
    assert recommend("ner", "German") == recommend("ner", "de")
    with pytest.raises(InputError, match="got 'Klingon!'"):
        recommend("ner", "Klingon!")


def test_it_says_what_it_answers_and_fits_a_terminal(capsys) -> None:
    assert run(["models", "recommend"]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith("for classification in en on cpu")
    assert all(len(line) <= 80 or "https://" in line for line in (first, *lines))
    assert lines[0] == "" and lines[1].startswith("1. ")
    assert all("; " not in line for line in lines)


def test_it_speaks_json(capsys) -> None:
    arguments = ["models", "recommend", "-t", "ner", "-l", "zh", "--device", "8GB", "--json"]
    assert run(arguments) == 0
    first = json.loads(capsys.readouterr().out)[0]
    assert first["model"].startswith("hfl/") and first["score"]["benchmark"] == "xnli-zh"


def write_run(folder, *, score: float | None = 0.5) -> None:
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"identity": {"task": "ner", "model": "minilm"}}))
    if score is None:
        return
    scores = {"validation": {"values": {"f1": score, "recall": 0.1}, "headline": "f1"}}
    (folder / "metrics.json").write_text(json.dumps({"scores": scores}))
    size = (folder / "metrics.json").stat().st_size
    sealed = {"task": "ner", "base_model": {"name": "minilm", "revision": None},
              "files": {"metrics.json": {"size": size, "sha256": ""}}}  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(sealed))


def test_runs_are_listed(tmp_path) -> None:
    write_run(tmp_path / "a" / "good")
    write_run(tmp_path / "begun", score=None)
    write_run(tmp_path / "changed")
    (tmp_path / "changed" / "metrics.json").write_text("{}")
    (tmp_path / "no-run").mkdir()
    found: dict[str, LocalRun] = {one.run.rpartition("/")[2]: one for one in local_runs(tmp_path)}
    assert {name: one.state for name, one in found.items()} == {
        "good": "sealed", "begun": "unfinished", "changed": "changed"
    }  # fmt: skip
    assert (found["good"].score_name, found["good"].score) == ("f1", 0.5)
    assert found["good"].split == "validation"
    assert {one.task for one in found.values()} == {"ner"}
    assert {one.base_model for one in found.values()} == {"minilm"}
    with pytest.raises(InputError, match="no such folder"):
        local_runs(tmp_path / "nowhere")


def test_it_needs_no_torch(tmp_path) -> None:
    write_run(tmp_path / "run")
    program = (
        "import sys; from hfkit.cli.app import run; "
        f"run(['models', 'ls', {str(tmp_path)!r}]); run(['models', 'recommend']); "
        "print(sorted({'torch', 'transformers', 'numpy', 'datasets'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr
    assert "f1 0.5000" in done.stdout


def test_the_date_is_that_of_the_end_of_the_training(tmp_path) -> None:
    write_run(tmp_path / "old")
    os.utime(tmp_path / "old" / "metrics.json", (0, 86400))
    write_run(tmp_path / "new")
    manifest = tmp_path / "new" / "manifest.json"
    told = {**json.loads(manifest.read_text()), "finished": "2026-03-01T12:30:00+02:00"}
    manifest.write_text(json.dumps(told))
    dates = {one.run.rpartition("/")[2]: one.date for one in local_runs(tmp_path)}
    assert dates == {"new": "2026-03-01 10:30", "old": "1970-01-02 00:00"}
