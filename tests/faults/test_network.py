"""With files that are here no command opens a connection or looks a name up, nor needs to.

All commands run in one process in which Python reports every attempt, as it does in the processes
they start; and, where the system lets us, in a network namespace without an interface. Processes
that train together have to meet: for them, last of all, the namespace gets its loopback.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from pages import write_files
from toys import toy_rows, write_base_model, write_classifier, write_csv

from hfkit.model.locate import packaged_minilm

HERE = Path(__file__).parent
# What a test's own environment sets, and a user's does not.
CALMING = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE", "CI")


@dataclass
class Spied:
    """What came of the commands: those that failed, the attempts, whether there was a network."""

    commands: int
    failed: list[str]
    attempts: list[str]
    isolated: bool
    said: str


def commands(folder: Path) -> list[list[str]]:
    """Every command there is, on files in `folder`; -o makes what later ones read."""
    cpu = ["--device", "cpu"]
    short = ["--max-steps", "1", "--max-length", "64", *cpu]
    finetune = [
        ["finetune", "toy.csv", "-m", "base", "-o", "out", "--validation", "toy.csv", *short],
        ["finetune", "people.conll", "-m", "base", "-o", "names", *short],
        ["finetune", "squad.json", "-m", "base", "-o", "answers", *short],
        ["finetune", "pairs.csv", "-t", "similarity", "-m", "base", "-o", "vectors", *short],
        ["finetune", "toy.csv", "-m", "base", "-o", "out", "--validation", "toy.csv", *short],
        ["finetune", "toy.csv", "-m", "base", "--dry-run"],
    ]
    two = ["--num-processes", "2"]
    demo = [["demo", "-o", "demo"]] if packaged_minilm() else []  # an extra brings it
    return [
        *finetune,
        ["evaluate", "out", "toy.csv", "--metric", "accuracy", *cpu],
        ["predict", "out", "toy.csv", "-o", "answers.jsonl", *cpu],
        ["evaluate", "answers.jsonl", "toy.csv"],
        ["predict", "classifier", "rain and sun", *cpu],
        ["predict", "classifier", "toy.csv", "-o", "together.jsonl", *two, *cpu],
        ["predict", "answers", "asked.jsonl", "--documents", "handbook", *cpu],
        ["predict", "base", "rain", "-t", "zero-shot", "--labels", "a,b", *cpu],
        ["embed", "vectors", "texts.txt", "-o", "vectors.npy", *cpu],
        ["search", "vectors", "corpus.jsonl", "queries.jsonl", "-o", "hits.jsonl", *cpu],
        ["convert", "people.conll", "-o", "people-again.jsonl"],
        ["export", "out", "toy.csv"],
        ["predict", "out", "rain and sun", "--engine", "onnx"],
        ["bench", "out", "--rows", "4", "--rounds", "1", "--cold-starts", "0", *cpu],
        ["verify", "out"],
        ["finetune", "toy.csv", "-m", "base", "-o", "adapted", "--lora", "r=2", *short],
        ["predict", "adapted", "rain and sun", *cpu],
        *_from_scratch(short, cpu),
        ["tasks"],
        ["recipes", "ls"],
        ["config", "show"],
        ["env"],
        *demo,
        ["finetune", "toy.csv", "-m", "base", "-o", "together", *two, *short],
    ]


def _from_scratch(short: list[str], cpu: list[str]) -> list[list[str]]:
    """Language models, and what is asked of them."""
    new = ["--config-size", "tiny", "--tokenizer"]
    train = ["tokenizer", "train", "corpus.txt"]
    return [
        [*train, "-o", "pieces", "--vocab-size", "200"],
        [*train, "-o", "bytes", "--kind", "bpe", "--vocab-size", "400"],
        ["finetune", "corpus.txt", "-t", "mlm", *new, "pieces", "-o", "masked", *short],
        ["finetune", "corpus.txt", "-t", "nsp", *new, "pieces", "-o", "next", *short],
        ["finetune", "corpus.txt", "-t", "clm", *new, "bytes", "-o", "causal", *short],
        ["predict", "causal", "rain and sun", *cpu],
        ["score", "masked", "rain and sun", *cpu],
    ]


@pytest.fixture(scope="module")
def spied(tmp_path_factory: pytest.TempPathFactory) -> Spied:
    folder = write_files(tmp_path_factory.mktemp("files"))
    write_csv(folder / "toy.csv", toy_rows(40))
    write_base_model(folder / "base")
    write_classifier(folder / "classifier")
    wanted = commands(folder)
    (folder / "commands.json").write_text(json.dumps(wanted), "utf-8")
    environment = {key: value for key, value in os.environ.items() if key not in CALMING}
    isolated = can_isolate()
    environment |= {"SPIED_ATTEMPTS": str(folder / "attempts"), "HF_HOME": str(folder / "home")}
    environment |= {"SPIED_ISOLATED": "1"} if isolated else {}
    paths = [str(HERE / "spying"), str(HERE), str(HERE.parents[1]), str(HERE.parent)]
    environment["PYTHONPATH"] = os.pathsep.join([*paths, os.environ.get("PYTHONPATH", "")])
    program = [sys.executable, str(HERE / "spied.py"), "commands.json"]
    done = subprocess.run(
        ["unshare", "-n", *program] if isolated else program,
        cwd=folder, env=environment, capture_output=True, text=True, timeout=400,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [line for line in done.stderr.splitlines() if line.startswith("ended ")]
    assert len(lines) == len(wanted), done.stderr[-3000:]
    failed = [line for line in lines if not line.startswith("ended 0:")]
    attempts = (folder / "attempts").read_text("utf-8").splitlines()
    return Spied(len(wanted), failed, attempts, isolated, done.stderr)


def can_isolate() -> bool:
    """Whether this user may make a network namespace."""
    program = shutil.which("unshare")
    return program is not None and not subprocess.run([program, "-n", "true"]).returncode


def test_no_command_attempts_anything(spied: Spied, measured) -> None:
    assert spied.attempts[-1:] == ["control: socket.getaddrinfo 'control.invalid'"]
    made = [attempt for attempt in spied.attempts[:-1] if not stays_here(attempt)]
    measured("M6", "commands on local files, under a look-up spy", commands=spied.commands,
             attempts=len(made))  # fmt: skip
    assert made == []


def stays_here(attempt: str) -> bool:
    """Whether processes that train together look for each other, on this machine."""
    command, _, place = attempt.partition(": ")
    return command == "finetune together" and any(
        f"'{here}'" in place for here in ("localhost", "127.0.0.1", "::1")
    )


def test_the_spy_sees_the_processes_that_a_command_starts(tmp_path: Path) -> None:
    paths = [str(HERE / "spying"), str(HERE), str(HERE.parents[1])]
    environment = {"SPIED_ATTEMPTS": str(tmp_path / "seen"), "SPIED_COMMAND": "child"}
    program = (
        "import socket, contextlib\n"
        "with contextlib.suppress(OSError): socket.getaddrinfo('control.invalid', 80)"
    )
    subprocess.run(
        [sys.executable, "-c", program], check=True,
        env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(paths)},
    )  # fmt: skip
    assert (tmp_path / "seen").read_text() == "child: socket.getaddrinfo 'control.invalid'\n"


def test_every_command_works_without_an_interface(spied: Spied, measured) -> None:
    assert spied.failed == [], spied.said[-3000:]
    if not spied.isolated:
        pytest.skip("unshare -n is not allowed here: the commands ran with the network there")
    measured("M6", "commands on local files, in a namespace without an interface",
             commands=spied.commands, failed=len(spied.failed))  # fmt: skip


@pytest.mark.parametrize("command", ["predict", "embed", "evaluate", "finetune"])
def test_a_wrong_name_offline_ends_before_torch_is_imported(command: str, tmp_path: Path) -> None:
    data = write_csv(tmp_path / "toy.csv", toy_rows(20))
    arguments = [command, "org/mistyped", str(data), "--offline"]
    if command == "finetune":
        arguments = [command, str(data), "-m", "org/mistyped", "--offline"]
    program = (
        "import sys\nfrom hfkit.cli.app import run\n"
        f"code = run({arguments!r})\n"
        "sys.exit(f'{code} torch' if {'torch', 'transformers'} & set(sys.modules) else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
    assert "org/mistyped: no such folder, and not in the local cache" in done.stderr
