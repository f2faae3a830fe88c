from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from listening import listening

from hfkit.errors import InputError
from hfkit.train.launch import (
    finish,
    inside,
    is_lost_peer,
    make_accelerator,
    world,
)

HERE = Path(__file__).parent
CALL = """
import os
import sys
from hfkit.errors import LostError
from hfkit.train.launch import relaunch
before = dict(os.environ)
try:
    code = relaunch(2, sys.argv[1:], module="launched")
    sys.exit("the environment was left changed" if dict(os.environ) != before else code)
except LostError as error:
    print(error.message, file=sys.stderr)
    sys.exit(error.exit_code)
"""


def start(*argv: str) -> subprocess.Popen[str]:
    """A parent that relaunches the module `launched` in two processes."""
    paths = [str(HERE.parents[1]), str(HERE)]
    return subprocess.Popen(
        [sys.executable, "-c", CALL, *argv],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


@pytest.mark.processes
@pytest.mark.parametrize(
    ("how", "code", "said", "lost"),
    [
        ("nothing", 0, [""], ""),
        ("all", 2, ["rank 0 of 2: 2\n", "rank 1 of 2: 2\n"], ""),
        ("one", 8, ["rank 1 of 2: 8\n"], ""),
        ("together", 75, ["rank 0 of 2: 75\nrank 1 has time to finish\n"], ""),
        ("silent", 5, [""], "a worker process ended with code 3\n"),
        ("killed", 137, [""], "a process of this run was killed (signal 9)\n"),
    ],
)
def test_exit_codes_survive_and_one_process_speaks(how, code, said, lost):
    parent = start(how)
    out, err = parent.communicate(timeout=120)
    assert (parent.returncode, err) == (code, lost)
    assert out in said


@pytest.mark.processes
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_reach_each_worker_once(tmp_path, number):
    parent = start("signal", str(tmp_path))
    while len(list(tmp_path.iterdir())) < 2 and parent.poll() is None:
        time.sleep(0.02)
    os.killpg(parent.pid, number)  # what a terminal does at Ctrl-C
    out, err = parent.communicate(timeout=120)
    assert (parent.returncode, err) == (128 + number, "")
    assert out in [f"rank {rank} of 2: {128 + number}\n" for rank in range(2)]


@pytest.mark.processes
@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="no /proc to find listeners in")
def test_processes_of_one_machine_meet_where_no_other_machine_can_come(tmp_path):
    parent = start("meet", str(tmp_path))
    while len(list(tmp_path.iterdir())) < 2 and parent.poll() is None:
        time.sleep(0.02)
    found = listening(parent.pid)
    (tmp_path / "seen").touch()
    _, err = parent.communicate(timeout=120)
    assert (parent.returncode, err) == (0, "")
    assert len(found) >= 3, "the store, and gloo in each of two workers"
    assert all(address.is_loopback for address in found)


def test_what_a_process_sees_of_a_killed_one(monkeypatch):
    gone = RuntimeError("[gloo/transport/tcp/pair.cc:525] Connection closed by peer [127.0.0.1]:9")
    assert not is_lost_peer(gone)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert is_lost_peer(gone)
    assert not is_lost_peer(RuntimeError("shapes do not match"))


def test_alone_there_is_one_process_and_it_speaks():
    said = []
    assert (inside(), world()) == (False, (0, 0, 1))
    assert finish(75, lambda: said.append("stopped")) == 75
    assert said == ["stopped"]


def test_place_comes_from_the_environment(monkeypatch):
    for name, value in {"RANK": "5", "LOCAL_RANK": "1", "WORLD_SIZE": "8"}.items():
        monkeypatch.setenv(name, value)
    assert (inside(), world()) == (True, (5, 1, 8))


def test_accelerator_on_the_cpu():
    first = make_accelerator("cpu", "auto", 1)
    assert (first.device.type, first.mixed_precision) == ("cpu", "no")
    second = make_accelerator("cpu", "bf16", 1)  # a second run in the same process
    assert second.mixed_precision == "bf16"


def test_what_is_not_there_is_an_input_error():
    with pytest.raises(InputError, match="1 processes, 2 asked for"):
        make_accelerator("cpu", "fp32", 2)
    with pytest.raises(InputError, match="fp16 needs a GPU"):
        make_accelerator("cpu", "fp16", 1)
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="no cuda device"):
            make_accelerator("cuda", "fp32", 1)
