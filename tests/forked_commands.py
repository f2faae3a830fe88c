"""A folder with an `hfkit` that is a fork of a server: it starts in milliseconds, for pages of many
commands.

    hfkit (a script) ─▶ ask: arguments, folder, environment, stdin, stdout, stderr ─▶ serve ─▶ fork

The server has imported what commands import, and runs no operation of torch, whose threads would
not survive a fork. As a module it is that script; as `serve` it is the server.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PRELOAD = [
    "torch", "transformers.models.bert.modeling_bert", "transformers.models.t5.modeling_t5",
    "transformers.models.gpt2.modeling_gpt2", "accelerate", "datasets", "scipy.stats",
    "sklearn.linear_model", "hfkit.__main__", "hfkit.cli.app", "hfkit.commands.finetune",
    "hfkit.commands.predict", "hfkit.commands.evaluate", "hfkit.run.fitting",
    "hfkit.run.finishing", "hfkit.train.loop", "hfkit.infer.torch_engine",
]  # fmt: skip
FORWARDED = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def forked_commands(folder: Path) -> Iterator[Path]:
    """Start the server, and give the folder with `hfkit` in it, to be put before PATH."""
    door = folder / "door"
    server = subprocess.Popen([sys.executable, __file__, "serve", str(door)])
    program = folder / "hfkit"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{__file__}" "{door}" "$@"\n')
    program.chmod(0o755)
    try:
        while not door.exists():
            assert server.poll() is None, "the server has ended"
            time.sleep(0.05)
        yield folder
    finally:
        server.terminate()
        server.wait()


def ask(door: str, arguments: list[str]) -> int:
    """Let the server run a command with what this process was given; return its exit code."""
    request = json.dumps([arguments, str(Path.cwd()), dict(os.environ)]).encode()
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(door)
        socket.send_fds(line, [len(request).to_bytes(8, "big")], [0, 1, 2])
        line.sendall(request)
        answer = line.makefile()
        pid = int(answer.readline())
        for number in FORWARDED:
            signal.signal(number, lambda number, _: os.kill(pid, number))
        for own in (0, 1, 2):  # the command has them now
            os.close(own)
        return int(answer.readline())


def serve(door: str) -> None:
    """Run commands, each in a fork, until a signal comes."""
    import importlib

    for name in PRELOAD:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # whoever watches a command is not waited for
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{door}.new")
        listener.listen(16)
        Path(f"{door}.new").rename(door)
        while True:
            line, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _watch(line)
            line.close()


def _watch(line: socket.socket) -> None:
    """Run one command, and say how it ended."""
    size, files, _, _ = socket.recv_fds(line, 8, 3)
    arguments, folder, environment = json.loads(_read(line, int.from_bytes(size, "big")))
    pid = os.fork()
    if pid == 0:
        line.close()
        os._exit(_run(arguments, folder, environment, files))
    for file in files:
        os.close(file)
    line.sendall(f"{pid}\n".encode())
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    line.sendall(f"{status if status >= 0 else 128 - status}\n".encode())
    os._exit(0)


def _read(line: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        found += line.recv(size - len(found))
    return found


def _run(arguments: list[str], folder: str, environment: dict[str, str], files: list[int]) -> int:
    """Be `hfkit`, with these arguments, in this folder."""
    for own, file in enumerate(files):
        os.dup2(file, own)
        os.close(file)
    sys.stdin, sys.stdout = open(0, encoding="utf-8"), open(1, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, encoding="utf-8")  # noqa: SIM115
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["hfkit", *arguments]
    import torch

    from hfkit.__main__ import command

    torch.set_num_threads(1)
    code = command()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    else:
        sys.exit(ask(sys.argv[1], sys.argv[2:]))
