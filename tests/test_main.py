"""How the process of a command begins and ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)


def test_what_others_have_put_off_to_the_end_is_done() -> None:
    done = run(
        "import atexit, sys\n"
        "from hfkit.__main__ import main\n"
        "atexit.register(lambda: sys.stdout.write('bye'))\n"
        "sys.argv = ['hfkit', '--version']\n"
        "main()\n"
    )
    assert done.returncode == 0
    assert done.stdout.splitlines()[1:] == ["bye"]


def test_threads_are_waited_for() -> None:
    done = run(
        "import sys, threading, time\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from hfkit.__main__ import main\n"
        "work = lambda word: time.sleep(0.5) or sys.stdout.write(word)\n"
        "threading.Thread(target=work, args=('one',)).start()\n"
        "ThreadPoolExecutor().submit(work, 'two')\n"
        "sys.argv = ['hfkit', '--version']\n"
        "main()\n"
    )
    assert done.returncode == 0
    assert sorted(word for word in ("one", "two") if word in done.stdout) == ["one", "two"]


def test_a_profiler_gets_its_turn() -> None:
    words = [sys.executable, "-m", "cProfile", "-m", "hfkit", "--version"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0
    assert "function calls" in done.stdout


def test_the_exit_code_is_that_of_the_command() -> None:
    done = run("import sys\nfrom hfkit.__main__ import main\nsys.argv = ['hfkit', 'x']\nmain()\n")
    assert done.returncode == 2
    assert done.stderr.startswith("hfkit: error:")


@pytest.mark.parametrize("load", ["load_for_prediction(*model)", "drawn(*model, {})"])
def test_garbage_is_looked_for_as_usual_from_a_model_on(
    tiny_classifier_folder: Path, load: str
) -> None:
    done = run(
        "import gc, sys\n"
        "from pathlib import Path\n"
        "before = gc.get_threshold()\n"
        "from hfkit.__main__ import command\n"
        "sys.argv = ['hfkit', '--version']\n"
        "command()\n"
        "seldom = gc.get_threshold()\n"
        "from hfkit.model.load import drawn, load_for_prediction\n"
        f"model = Path({str(tiny_classifier_folder)!r}), 'AutoModelForSequenceClassification'\n"
        f"{load}\n"
        "sys.exit(not (gc.isenabled() and seldom > before == gc.get_threshold()))\n"
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize(("words", "code"), [(["--version"], 0), (["predict", "none", "x"], 2)])
def test_what_cannot_be_said_changes_no_exit_code(words: list[str], code: int) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "hfkit", *words], stdout=subprocess.PIPE, stderr=full
        )
    assert done.returncode == code


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("heard", [True, False])
def test_a_signal_while_modules_are_imported(number: signal.Signals, heard: bool) -> None:
    done = run(
        "import os, sys\n"
        "from hfkit.__main__ import main\n"
        "class Finder:\n"
        "    def find_spec(self, name, path, target=None):\n"
        f"        if name == 'typer': os.kill(os.getpid(), {int(number)})\n"
        "sys.meta_path.insert(0, Finder())\n"
        f"if not {heard}: sys.stderr = None\n"
        "main()\n"
    )
    assert done.returncode == 128 + number
    word = "interrupted" if number == signal.SIGINT else "terminated"
    assert done.stderr == (f"hfkit: error: {word}\n" if heard else "")
