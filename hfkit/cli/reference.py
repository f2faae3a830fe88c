"""Writes docs/cli.md from the commands: ``python -m hfkit.cli.reference docs/cli.md``."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

import typer.main

from hfkit import errors
from hfkit.cli.app import app
from hfkit.cli.options import VerbCommand, choices_of, spellings_of, titled_settings, value_name
from hfkit.config import PredictConfig
from hfkit.verbs import Verb

HEAD = """# The command line

<!-- Written by `make docs`; a test compares it with the commands. -->

Every setting can be given in four ways, the weaker first:

1. the default, as listed here;
2. a recipe: `-c recipe.yaml`, or the name of a packaged one (`hfkit recipes`). Keys are the names
   of the flags, with hyphens or underscores. Scalars are read as the text that was typed, so
   `lr: 3e-5` is a number and `label_column: no` is a column called "no";
3. the environment: `HFKIT_LR=3e-5`;
4. the flag: `--lr 3e-5`, also written `--set lr=3e-5`. `--set KEY=null` takes a setting back to
   "not given". Flags may be written with underscores (`--max_length`).

Results go to stdout, everything else to stderr, as lines `hfkit: note: …`, `hfkit: warning: …` and
`hfkit: error: …`. `NO_COLOR` and `TERM=dumb` are obeyed. A file name of `-` is standard input.

Libraries below hfkit are asked to send no usage reports (`HF_HUB_DISABLE_TELEMETRY`,
`DO_NOT_TRACK`) and to keep silent; `-v` lets their messages through.
"""

MORE_CODES = [
    (0, "done"),
    (
        1,
        "done, but rows have no answer, a score is under `--fail-under`, a model is worse than "
        "`--no-worse-than`, or int8 was not kept",
    ),
    (130, "Ctrl-C, after saving where there was something to save; the same command goes on"),
    (141, "the reader of a pipe is gone; nothing is said about it"),
    (143, "SIGTERM, after saving; the same command goes on"),
]


# The titles of the sections that the commands for a task have in common.
SHARED = [
    title
    for title in dict.fromkeys(title for title, _, _ in titled_settings(PredictConfig))
    if title != "Options"
]


def reference() -> str:
    """Return the text of docs/cli.md."""
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    verbs = {name: item for name, item in commands.items() if isinstance(item, VerbCommand)}
    others = {name: item for name, item in commands.items() if name not in verbs}
    return "\n".join(
        [
            HEAD,
            _exit_codes(),
            *(_verb(name, command) for name, command in verbs.items()),
            _shared(),
            *(_small(name, command) for name, command in others.items()),
        ]
    )


def _verb(name: str, command: Any) -> str:
    verb: Verb[Any, Any, Any] = command.verb
    words = " ".join(f"[{word.upper()}]" for word in verb.positional)
    parts = [f"## hfkit {name} {words}\n", _prose(command.help or "")]
    tables = _tables(verb.config_class)
    for title, table in tables.items():
        if title not in SHARED:
            parts.append(f"### {title}\n\n{table}")
    missing = [title for title in SHARED if title not in tables]
    of_those = [title for title in SHARED if title in tables] if missing else []
    shared = "And the settings that most commands share, below"
    return "\n".join([*parts, f"{shared}{': ' if of_those else ''}{'; '.join(of_those)}.\n"])


def _shared() -> str:
    """The sections that finetune, evaluate and predict have in common, once."""
    tables = _tables(PredictConfig)
    parts = [f"### {title}\n\n{tables[title]}" for title in SHARED]
    return "\n".join(["## Settings that finetune, evaluate and predict share\n", *parts])


def _tables(config: Any) -> dict[str, str]:
    """Title -> the table of the settings under it."""
    rows: dict[str, list[str]] = {}
    for title, model, setting in titled_settings(config):
        row = _row(model, setting, model.model_fields[setting])
        rows.setdefault(title, ["| flag | value | default | |\n|---|---|---|---|"]).append(row)
    return {title: "\n".join([*lines, ""]) for title, lines in rows.items()}


def _row(model: Any, setting: str, field: Any) -> str:
    spellings = spellings_of(model, setting)
    if field.default is True:
        spellings.append(f"--no-{setting.replace('_', '-')}")
    flags = ", ".join(f"`{text}`" for text in spellings)
    choices = [f"`{choice}`" for choice in choices_of(field.annotation)]
    value = "" if field.annotation is bool else " ".join(choices) or value_name(field.annotation)
    default = "" if field.default in (None, [], "") else f"`{field.default}`"
    if isinstance(field.default, bool):
        default = "yes" if field.default else ""
    return f"| {flags} | {value} | {default} | {field.description} |".replace("  |", " |")


def _small(name: str, command: Any) -> str:
    """A command without a configuration of its own, or a group of such."""
    parts = [f"## hfkit {name}\n", _prose(command.help or "")]
    group = getattr(command, "commands", None)
    for child_name, child in (group or {"": command}).items():
        if group:
            parts.append(f"- `hfkit {name} {child_name}{_arguments(child)}`: {child.help}")
        for param in child.params:
            if param.param_type_name == "option" and param.help and param.name != "help":
                flags = ", ".join(f"`{text}`" for text in param.opts)
                parts.append(f"{'  ' if group else ''}- {flags}: {param.help}")
    return "\n".join([*parts, ""])


def _arguments(command: Any) -> str:
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    return "".join(f" {param.metavar}" for param in arguments)


def _prose(help: str) -> str:
    """Help text as Markdown: the examples, marked for Typer, become a block of code."""
    text, marked, examples = inspect.cleandoc(help).partition("\b\n")
    if not marked:
        return f"{text}\n"
    return f"{text.strip()}\n\n```\n{inspect.cleandoc(examples)}\n```\n"


def _exit_codes() -> str:
    """The table of exit codes: what `hfkit.errors` says, and what is no exception."""
    classes = [value for value in vars(errors).values() if inspect.isclass(value)]
    rows = dict(MORE_CODES)
    rows[errors.INTERNAL_ERROR] = "a bug in hfkit; a report without data is saved"
    for error in classes:
        if issubclass(error, errors.HfkitError) and error is not errors.HfkitError:
            meaning = (error.__doc__ or "").strip().splitlines()[0].rstrip(".")
            rows.setdefault(error.exit_code, meaning[:1].lower() + meaning[1:])
    lines = [f"| {code} | {meaning} |" for code, meaning in sorted(rows.items())]
    return "\n".join(["## Exit codes\n", "| code | meaning |\n|---|---|", *lines, ""])


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference(), encoding="utf-8")
