"""Two hosts, as two network namespaces of this machine joined by a cable: what one process learns.

They see one file system, as hosts of one run must. Where namespaces cannot be made, the test is
skipped with the reason; `make slow` on a machine that can is what counts.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

pytestmark = [pytest.mark.processes, pytest.mark.slow]


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, timeout=20)


@pytest.fixture
def hosts() -> Iterator[list[str]]:
    """The names of two namespaces; host 0 has the address 10.83.7.1, host 1 the next one."""
    if shutil.which("ip") is None:
        pytest.skip("two hosts are not tested: there is no `ip` (package iproute2)")
    names = [f"hfkit-{os.getpid()}-{number}" for number in range(2)]
    cables = [f"hk{os.getpid() % 10**7}{end}" for end in "ab"]
    try:
        for name in names:
            ip("netns", "add", name)
        ip("link", "add", cables[0], "type", "veth", "peer", "name", cables[1])
        for number, (name, cable) in enumerate(zip(names, cables, strict=True), start=1):
            ip("link", "set", cable, "netns", name)
            ip("-n", name, "link", "set", cable, "name", "cable0")
            ip("-n", name, "address", "add", f"10.83.7.{number}/24", "dev", "cable0")
            ip("-n", name, "link", "set", "cable0", "up")
            ip("-n", name, "link", "set", "lo", "up")
    except subprocess.CalledProcessError as error:
        _remove(names)
        pytest.skip(f"two hosts are not tested: {error.stderr.strip()}")
    try:
        yield names
    finally:
        _remove(names)


def _remove(names: list[str]) -> None:
    for name in names:
        with suppress(subprocess.CalledProcessError):
            ip("netns", "delete", name)


def test_two_hosts_learn_what_one_process_learns(
    hosts: list[str], toy_files: dict[str, Path], tiny_base_folder: Path, tmp_path: Path
) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "cable0"}
    command = [
        "-m", "hfkit", "finetune", toy_files["train"], "-m", tiny_base_folder, "--device", "cpu",
        "--max-steps", 4, "--dropout", 0, "--precision", "fp32",
    ]  # fmt: skip
    run = [str(part) for part in command]
    alone, together = tmp_path / "alone", tmp_path / "together"
    subprocess.run(
        [sys.executable, *run, "-o", alone], check=True, capture_output=True, timeout=120,
        env=environment,
    )  # fmt: skip
    started = [
        subprocess.Popen(
            [
                "ip", "netns", "exec", name, sys.executable, "-m", "torch.distributed.run",
                "--nnodes", "2", "--node-rank", str(rank), "--nproc-per-node", "1",
                "--master-addr", "10.83.7.1", "--master-port", "29517",
                *run, "-o", together, "--num-processes", "2",
            ],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        )
        for rank, name in enumerate(hosts)
    ]  # fmt: skip
    try:
        said = [child.communicate(timeout=180) for child in started]
    finally:
        for child in started:
            child.kill()
    assert [child.returncode for child in started] == [0, 0], said
    assert [stdout for stdout, _ in said] == [f"{together}\n", ""]
    one, two = (load_file(folder / "model.safetensors") for folder in (alone, together))
    difference = torch.cat([(one[name] - two[name]).flatten() for name in one])
    whole = torch.cat([tensor.flatten() for tensor in one.values()])
    assert float(difference.norm() / whole.norm()) < 1e-5
