"""The command line as a whole: what is parsed, what is printed where, how it ends."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hfkit import api
from hfkit.cli.app import run
from hfkit.config import FinetuneConfig
from hfkit.errors import StoppedError, WorkersError


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    """No variables of the user, crash reports to the side."""
    for variable in [name for name in os.environ if name.startswith("HFKIT_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


class Scores:
    def __init__(self) -> None:
        self.values = {"accuracy": 0.9}
        self.count, self.headline, self.confidence, self.resamples = 10, "accuracy", 0.95, 100
        self.intervals = {"accuracy": (0.8, 1.0)}
        self.baseline = {"accuracy": 0.5}
        self.baselines: dict = {}
        self.tables: dict = {}


class Finetuned:
    folder = Path("runs/it is")
    task = "classification"
    scores = Scores()
    split = "validation"

    def to_json(self):
        return {"folder": str(self.folder)}


@pytest.fixture
def finetuned(monkeypatch):
    """Replace the work of `finetune`; gives the configurations it was called with."""
    seen: list[FinetuneConfig] = []

    def replace(outcome=None):
        def work(config: FinetuneConfig):
            seen.append(config)
            if isinstance(outcome, BaseException):
                raise outcome
            return Finetuned() if outcome is None else outcome

        monkeypatch.setattr(api.finetune, "run", work)
        return seen

    return replace


# Parsing


@pytest.mark.parametrize(
    "arguments",
    [
        ["a.csv", "--learning-rate", "1e-3", "--batch_size", "4"],
        ["--train=a.csv", "--lr=1e-3", "-b4"],
        ["-d", "a.csv", "-s", "lr=1e-3", "--set", "batch-size=4"],
        [
            "--dataset-name",
            "a.csv",
            "--learning_rate",
            "0.001",
            "--per-device-train-batch-size",
            "4",
        ],
    ],
)
def test_spellings(arguments, finetuned) -> None:
    seen = finetuned()
    assert run(["finetune", *arguments]) == 0
    assert (seen[0].train, seen[0].lr, seen[0].batch_size) == ("a.csv", 1e-3, 4)


def test_flags_switches_lists_and_options_of_the_task(finetuned) -> None:
    seen = finetuned()
    arguments = [
        "--no-group-by-length",
        "--offline",
        "--class-weights",
        "balanced",
        "--columns=a,b",
    ]
    assert run(["finetune", "a.csv", *arguments]) == 0
    assert seen[0].group_by_length is False
    assert seen[0].offline is True
    assert seen[0].columns == ["a", "b"]
    assert seen[0].options == {"class_weights": "balanced"}


def test_what_is_not_given_stays_open_for_weaker_layers(finetuned, monkeypatch, tmp_path) -> None:
    seen = finetuned()
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("train: r.csv\nepochs: 9\ngroup_by_length: false\nseed: 1\n")
    monkeypatch.setenv("HFKIT_SEED", "2")
    assert run(["finetune", str(recipe), "--group-by-length"]) == 0
    assert (seen[0].train, seen[0].epochs, seen[0].seed) == ("r.csv", 9, 2)
    assert seen[0].group_by_length is True


def test_the_model_may_be_a_flag_or_the_first_word() -> None:
    seen = []
    for arguments in (["out", "a text"], ["-m", "out", "a text"], ["a text", "--model", "out"]):
        seen.append(api.predict.place(*split(arguments)))
    assert seen == [{"model": "out", "inputs": ["a text"]}] * 3


def split(arguments: list[str]):
    words = list(arguments)
    given = {}
    for flag in ("-m", "--model"):
        if flag in words:
            at = words.index(flag)
            given["model"] = words[at + 1]
            del words[at : at + 2]
    return words, given


# Output


def test_finetune_prints_the_folder_and_nothing_else_on_stdout(finetuned, capsys) -> None:
    finetuned()
    assert run(["finetune", "a.csv"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "runs/it is\n"
    assert "accuracy" in captured.err and "0.9000" in captured.err
    assert "hfkit: next: hfkit predict 'runs/it is'" in captured.err
    assert "\x1b" not in captured.err


def test_finetune_quiet_and_json(finetuned, capsys) -> None:
    finetuned()
    assert run(["finetune", "a.csv", "-q", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"folder": "runs/it is"}
    assert captured.err == ""


def test_neighbouring_letters_that_changed_places_are_the_nearest_mistake(capsys) -> None:
    assert run(["check", "a.csv", "--tset", "b.csv"]) == 2
    assert capsys.readouterr().err.endswith("no such option: --tset; did you mean '--test'?\n")


def test_a_dry_run_prints_the_plan(finetuned, capsys) -> None:
    class Plan:
        def to_json(self):
            return {"rows": {"train": 3}, "label": "no"}

    finetuned(Plan())
    assert run(["finetune", "a.csv", "--dry-run"]) == 0
    assert capsys.readouterr().out == "rows:\n  train: 3\nlabel: 'no'\n"
    assert run(["finetune", "a.csv", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == {"train": 3}


def test_evaluate_gives_json_in_a_pipe_and_1_below_a_threshold(monkeypatch, capsys) -> None:
    class Evaluated:
        scores = Scores()
        missed = ("accuracy is 0.9, under 0.95",)

        def to_json(self):
            return {"values": {"accuracy": 0.9}}

    monkeypatch.setattr(api.evaluate, "run", lambda config: Evaluated())
    assert run(["evaluate", "out", "test.csv"]) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"values": {"accuracy": 0.9}}
    assert captured.err == "hfkit: warning: accuracy is 0.9, under 0.95\n"


def test_notes_go_to_stderr_and_quiet_silences_them(finetuned, capsys, monkeypatch) -> None:
    def work(config):
        logging.getLogger("hfkit.data").info("1 row\nwas \x1b[31mcut")
        logging.getLogger("hfkit.data").warning("careful")
        logging.getLogger("hfkit.data").debug("detail")
        logging.getLogger("other").warning("chatter")
        return Finetuned()

    monkeypatch.setattr(api.finetune, "run", work)
    run(["finetune", "a.csv", "--json"])
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["hfkit: note: 1 row\\nwas \\x1b[31mcut", "hfkit: warning: careful"]
    assert not any("chatter" in line or "detail" in line for line in lines)
    run(["finetune", "a.csv", "--json", "-q"])
    assert capsys.readouterr().err == ""
    run(["finetune", "a.csv", "--json", "-v"])
    shown = capsys.readouterr().err
    assert "hfkit: debug: detail" in shown and "chatter" in shown


def test_tasks_lists_columns_and_options(capsys) -> None:
    assert run(["tasks"]) == 0
    assert "class_weights" in capsys.readouterr().out
    assert run(["tasks", "--json"]) == 0
    (task, *_) = json.loads(capsys.readouterr().out)
    assert task["name"] == "classification"
    assert task["options"]["threshold"]["default"] == 0.5


def test_recipes_and_config(capsys, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["recipes", "ls", "--json"]) == 0
    name = next(iter(json.loads(capsys.readouterr().out)))
    assert run(["recipes", "show", name]) == 0
    assert f"-c {name}" in capsys.readouterr().out
    assert run(["recipes", "copy", name, "a.yaml"]) == 0
    assert capsys.readouterr().out == "a.yaml\n"
    assert run(["config", "show", "-c", "a.yaml", "-s", "lr=7"]) == 0
    assert "lr: 7.0\n" in capsys.readouterr().out
    assert run(["config", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["type"] == "object"


# Endings


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fintune"], "no such command 'fintune'; did you mean 'finetune'?"),
        (["finetune", "--leraning-rate", "1"], "no such option: --leraning-rate; did you mean"),
        (["finetune", "--lr"], "option '--lr' requires an argument"),
        (["finetune", "--lr", "x"], "--lr: expected a number, got 'x'"),
        (["finetune", "a.csv", "b.csv"], "unexpected argument 'b.csv'; expected TRAIN"),
        (["finetune", "-c", "nothing"], "no recipe named 'nothing'"),
        (["finetune", "--offline=3"], "option '--offline' does not take a value"),
        (["recipes", "list"], "no such command 'list'"),
        (["recipes", "show"], "missing argument 'NAME'"),
        (
            ["evaluate", "--schedule", "linear"],
            "no such option: --schedule; it belongs to hfkit finetune",
        ),
        (
            ["predict", "--on-bad-row", "skip"],
            "no such option: --on-bad-row; it belongs to hfkit finetune, evaluate, compare and",
        ),
        (
            ["predict", "--ephocs", "3"],
            "no such option: --ephocs; did you mean '--epochs', of hfkit finetune?",
        ),
        (["predict", "--zzzz"], "no such option: --zzzz\n"),
        (["--lr", "1"], "no such option: --lr; it belongs to hfkit finetune"),
        (["demo", "--batch-size", "8"], "no such option: --batch-size; it belongs to hfkit"),
        (["predict", "-s", "epochs=3"], "--set epochs: unknown setting; it belongs to hfkit fine"),
    ],
)
def test_wrong_usage_is_one_line_and_2(arguments, message, capsys) -> None:
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"hfkit: error: {message}")
    assert captured.err.count("\n") == 1


def test_a_stop_on_purpose_keeps_its_code(finetuned, capsys) -> None:
    finetuned(StoppedError("stopped at step 3", exit_code=143, hint="the same command goes on"))
    assert run(["finetune", "a.csv"]) == 143
    assert capsys.readouterr().err == "hfkit: stopped at step 3; the same command goes on\n"


def test_debug_shows_the_traceback_and_the_line(finetuned, capsys) -> None:
    finetuned(StoppedError("stopped"))
    assert run(["finetune", "a.csv", "--debug"]) == 75
    shown = capsys.readouterr().err
    assert "Traceback" in shown and shown.endswith("hfkit: stopped\n")


def test_an_unforeseen_error_is_5_and_its_report_holds_no_value(
    finetuned, capsys, tmp_path
) -> None:
    secret = "a private text"
    finetuned(KeyError(secret))
    assert run(["finetune", "a.csv"]) == 5
    shown = capsys.readouterr().err
    assert shown.startswith("hfkit: error: internal error: KeyError")
    assert shown.count("\n") == 1 and "--debug" in shown and secret not in shown
    (report,) = (tmp_path / "cache" / "hfkit").glob("crash-*.txt")
    assert str(report) in shown
    assert "KeyError" in report.read_text() and secret not in report.read_text()


def test_workers_agree_on_who_speaks(finetuned, capsys, monkeypatch, tmp_path) -> None:
    """Of several processes only the first to end prints; see train/launch.py."""
    finetuned(StoppedError("stopped"))
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("HFKIT_EXIT_FILE", str(tmp_path / "said"))
    assert [run(["finetune", "a.csv"]) for _ in range(2)] == [0, 0]
    assert capsys.readouterr().err == "hfkit: stopped\n"
    assert (tmp_path / "said").read_text() == "75"


def test_a_worker_leaves_result_and_environment_to_its_parent(
    finetuned, capsys, monkeypatch, tmp_path
) -> None:
    seen = finetuned()
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("HFKIT_EXIT_FILE", str(tmp_path / "said"))
    monkeypatch.setenv("HFKIT_LR", "2")
    assert run(["finetune", "a.csv"]) == 0
    assert capsys.readouterr().out == ""
    assert seen[0].lr is None


def test_what_workers_have_said_is_not_said_again(finetuned, capsys) -> None:
    finetuned(WorkersError(4))
    assert run(["finetune", "a.csv"]) == 4
    assert capsys.readouterr().err == ""


# In a process of its own


def hfkit(*arguments: str, **more) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hfkit", *arguments], capture_output=True, text=True, **more
    )


def test_a_closed_pipe_is_141_and_silent() -> None:
    script = f"set -o pipefail; {sys.executable} -m hfkit config schema | head -1; echo $?"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert done.stderr == ""
    first, *_, code = done.stdout.splitlines()
    assert first == "{"
    assert code in ("141", "0")  # 0 where everything fitted into the pipe


def test_a_reader_that_never_reads_is_141_and_silent() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "hfkit", "config", "schema"], stdout=writer, stderr=subprocess.PIPE
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_4_and_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "hfkit", "config", "schema"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 4
    assert done.stderr == "hfkit: error: no space left on device\n"


def test_version() -> None:
    from hfkit import __version__

    for flag in ("--version", "-V"):
        done = hfkit(flag)
        assert (done.returncode, done.stdout) == (0, f"hfkit {__version__}\n")


def test_no_colour_and_no_boxes_in_a_pipe_even_when_colour_is_forced() -> None:
    done = hfkit("tasks", env={**os.environ, "FORCE_COLOR": "1"})
    assert done.returncode == 0
    assert "\x1b" not in done.stdout and "│" not in done.stdout


def test_completion_of_choices() -> None:
    environment = {
        **os.environ,
        "_HFKIT_COMPLETE": "complete_bash",
        "COMP_WORDS": "hfkit finetune --schedule co",
        "COMP_CWORD": "3",
    }
    done = hfkit(env=environment)
    assert done.stdout.split() == ["cosine", "constant"]
