"""Help, flags and docs/cli.md, frozen: a change shows here before users see it.

`HFKIT_UPDATE_GOLDEN=1 pytest tests/cli/test_help.py` writes the files anew.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import typer.main

from hfkit.cli.app import app, run
from hfkit.cli.reference import reference

GOLDEN = Path(__file__).parent.parent / "golden"
DOCS = Path(__file__).parent.parent.parent / "docs"
COMMANDS = [
    "",
    "finetune",
    "evaluate",
    "compare",
    "check",
    "predict",
    "convert",
    "embed",
    "search",
    "score",
    "bench",
    "export",
    "calibrate",
    "explain",
    "serve",
    "verify",
    "report",
    "audit",
    "estimate",
    "push",
    "models",
    "models recommend",
    "models ls",
    "tasks",
    "recipes",
    "config",
    "tokenizer",
    "tokenizer train",
    "env",
    "demo",
]


def compare(path: Path, text: str) -> None:
    if os.environ.get("HFKIT_UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"see the docstring of {__name__}"


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command: str, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run([*command.split(), "--help"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    compare(GOLDEN / f"help_{command.replace(' ', '_') or 'hfkit'}.txt", captured.out)


def test_flags() -> None:
    """The set of flags is part of the interface: scripts depend on it."""
    lines = []

    def visit(name: str, command) -> None:
        for param in command.params:
            for spelling in [*param.opts, *param.secondary_opts]:
                if spelling.startswith("-"):
                    lines.append(f"{name} {spelling}")
        for child_name, child in getattr(command, "commands", {}).items():
            visit(f"{name} {child_name}", child)

    visit("hfkit", typer.main.get_command(app))
    assert len(lines) == len(set(lines))
    compare(GOLDEN / "flags.txt", "\n".join(sorted(lines)) + "\n")


def test_the_reference_is_up_to_date() -> None:
    compare(DOCS / "cli.md", reference())


def test_hfkit_alone_is_the_help(capsys) -> None:
    assert run([]) == 0
    alone = capsys.readouterr().out
    assert run(["--help"]) == 0
    assert capsys.readouterr().out == alone
    assert alone.index("hfkit finetune reviews.csv") < alone.index("Commands:")


@pytest.mark.parametrize("columns", ["40", "200"])
def test_help_is_readable_at_any_width(columns: str, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert run(["finetune", "-h"]) == 0
    assert "--batch-size INT" in capsys.readouterr().out


def test_json_is_one_flag(capsys) -> None:
    run(["finetune", "--help"])
    shown = capsys.readouterr().out
    assert "--json " in shown and "json-output" not in shown
