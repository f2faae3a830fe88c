"""A command line run inside the tests' own process."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from exports import write_runs

from hfkit.cli.app import run as command_line

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def hfkit(capfd: pytest.CaptureFixture[str]) -> Command:
    """Run a command line in this process; give its exit code, stdout and stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        code = command_line([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return code, out, err

    return run


@pytest.fixture
def assert_goes_on_exactly(hfkit: Command) -> Callable[[list[object], Path], None]:
    """Train with a command whole, and again stopped after every step; both must end alike."""

    def check(command: list[object], folder: Path) -> None:
        code, _, err = hfkit(*command, "-o", folder / "whole")
        assert code == 0, err
        code, turns = 75, 0
        while code == 75 and turns < 100:
            code, _, err = hfkit(*command, "-o", folder / "cut", "--max-time", "0.000001s")
            turns += 1
        assert code == 0 and turns > 3, err
        one, two = (folder / name / "model.safetensors" for name in ("whole", "cut"))
        assert one.read_bytes() == two.read_bytes()

    return check


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory, tiny_base_folder: Path) -> Path:
    """A folder with an exported run of each task, and the files they were trained on."""
    return write_runs(tmp_path_factory.mktemp("exported"), tiny_base_folder)


@pytest.fixture
def exported_copy(exported: Path, tmp_path: Path) -> Path:
    """The run of the classifier, to be changed."""
    return Path(shutil.copytree(exported / "classification", tmp_path / "copy"))
