"""How the process of a command begins and ends."""

from __future__ import annotations

import subprocess
import sys


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


def test_the_exit_code_is_that_of_the_command() -> None:
    done = run("import sys\nfrom hfkit.__main__ import main\nsys.argv = ['hfkit', 'x']\nmain()\n")
    assert done.returncode == 2
    assert done.stderr.startswith("hfkit: error:")


def test_garbage_is_collected_while_a_command_runs() -> None:
    done = run(
        "import gc, sys\n"
        "from hfkit.__main__ import command\n"
        "sys.argv = ['hfkit', '--version']\n"
        "code = command()\n"
        "sys.exit(code or not gc.isenabled())\n"
    )
    assert done.returncode == 0
