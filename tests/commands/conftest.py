"""A command line run inside the tests' own process."""

from __future__ import annotations

from collections.abc import Callable

import pytest

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
