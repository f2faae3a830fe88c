"""What the tab key offers, asked for as the shells ask."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hfkit.cli.app import run
from hfkit.cli.completion import ASKED
from hfkit.commands.completion import FOUND
from hfkit.model.locate import packaged_minilm


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with runs, a recipe, and a cache that holds a model of the Hub."""
    for name in ("out", "runs/first", "deep/er/run", "two words", "$(touch hurt)"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "config.json").write_text("{}")
    (tmp_path / "data").mkdir()
    (tmp_path / "reviews.csv").write_text("text,label\n")
    (tmp_path / "mine.yaml").write_text("lr: 1e-4\n")
    cache = tmp_path / ".cache"
    (cache / "hub" / "models--org--encoder").mkdir(parents=True)
    (cache / "hub" / "datasets--org--texts").mkdir()
    monkeypatch.setenv("HF_HOME", str(cache))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ask(line: str, shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask as the script of a shell does, with the line as far as it is typed."""
    monkeypatch.setenv(ASKED, f"complete_{shell}")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split()) - (not line.endswith(" "))))
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", line)
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    run([])


def offered(line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> list[str]:
    ask(line, "bash", monkeypatch)
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out.split()


PACKAGED = ["minilm"] if packaged_minilm() else []
MODELS = ["out", "runs/first", *PACKAGED, "org/encoder"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("hfkit fin", ["finetune"]),
        ("hfkit recipes s", ["show"]),
        ("hfkit predict ", MODELS),
        ("hfkit evaluate ou", ["out"]),
        ("hfkit predict runs/", ["runs/first"]),
        ("hfkit predict deep/er/", ["deep/er/run"]),
        ("hfkit verify ", ["out", "runs/first"]),
        ("hfkit finetune reviews.csv -m ", MODELS),
        ("hfkit finetune --model=or", ["org/encoder"]),
        ("hfkit finetune -t regr", ["regression"]),
        ("hfkit finetune -t q", ["qa", "question-answering"]),
        ("hfkit finetune -c mi", ["mine.yaml"]),
        ("hfkit finetune -c ner-zh-c", ["ner-zh-cluener"]),
        ("hfkit config show -c ner-zh-c", ["ner-zh-cluener"]),
        ("hfkit recipes show ner-zh-c", ["ner-zh-cluener"]),
        ("hfkit recipes copy ner-zh-c", ["ner-zh-cluener"]),
        ("hfkit finetune --schedule ", ["linear", "cosine", "constant"]),
        ("hfkit convert in.csv --to spac", ["spacy"]),
        ("hfkit evaluate --metric ent", ["entities"]),
        ("hfkit finetune --learning", ["--learning-rate"]),
        ("hfkit finetune --batch-s", ["--batch-size"]),
        ("hfkit finetune --no-h", ["--no-header"]),
    ],
)
def test_names_are_offered(line, expected, folder, monkeypatch, capsys) -> None:
    assert offered(line, monkeypatch, capsys) == expected


@pytest.mark.parametrize(
    "line",
    [
        "hfkit finetune ",  # data: names of files
        "hfkit predict out ",
        "hfkit predict -m out ",
        "hfkit predict out a.csv ",
        "hfkit finetune a.csv -o ",
        "hfkit predict two",  # the shell has to quote it
        "hfkit predict $",
        "hfkit predict nothing/like/it",
    ],
)
def test_files_are_left_to_the_shell(line, folder, monkeypatch, capsys) -> None:
    assert offered(line, monkeypatch, capsys) == []


def test_each_flag_is_offered_once(monkeypatch, capsys) -> None:
    """Other spellings are understood, and would make the list twice as long."""
    found = offered("hfkit finetune --", monkeypatch, capsys)
    assert len(found) == len(set(found)) > 50
    assert "--model" in found and "--model-name-or-path" not in found


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_show_what_a_flag_does(shell, folder, monkeypatch, capsys) -> None:
    ask("hfkit finetune --sched", shell, monkeypatch)
    assert "Course of the learning rate" in capsys.readouterr().out
    ask("hfkit predict ", shell, monkeypatch)
    out = capsys.readouterr().out
    assert "runs/first" in out and "touch" not in out


def test_an_error_does_not_disturb_the_line(folder, monkeypatch, capsys) -> None:
    def broken(start: str):
        raise ValueError(start)

    monkeypatch.setitem(FOUND, "model", broken)
    assert offered("hfkit predict ", monkeypatch, capsys) == []


def test_bash_takes_the_script(folder) -> None:
    """In a real bash: the script is taken, and the names come as its completions."""
    program = f"{sys.executable} -m hfkit"
    script = (
        f'hfkit() {{ {program} "$@"; }}\n'
        f'env() {{ local -a set=(); while [[ $1 == *=* ]]; do set+=("$1"); shift; done;'
        f' command env "${{set[@]}}" {program}; }}\n'
        'eval "$(hfkit --show-completion bash)"\n'
        'COMP_WORDS=(hfkit predict ""); COMP_CWORD=2\n'
        "_hfkit_completion hfkit\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
        "complete -p hfkit\n"
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", script], capture_output=True, text=True, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    *names, registered = done.stdout.splitlines()
    assert names == MODELS
    assert "-o default -F _hfkit_completion hfkit" in registered


def test_completion_imports_nothing_heavy(folder) -> None:
    program = (
        "import os, sys\nfrom hfkit.cli.app import run\n"
        "run([])\n"
        "heavy = {'torch', 'transformers', 'datasets', 'numpy', 'huggingface_hub'}\n"
        "sys.exit(' '.join(heavy & set(sys.modules)) or 0)\n"
    )
    asked = {ASKED: "complete_bash", "COMP_WORDS": "hfkit predict ", "COMP_CWORD": "2"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ, **asked}
    )
    assert done.stdout.split() == MODELS, done.stderr
    assert done.returncode == 0, done.stderr
