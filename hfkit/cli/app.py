"""The command line: one Typer command per verb, one place where every error ends.

    main ─▶ run ─▶ Typer parses ─▶ the verb's action ─▶ resolve ─▶ hfkit.commands.<verb>

The actions are in actions.py. Nothing heavy is imported until one runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from hfkit import __version__, api
from hfkit.cli import about, actions, completion, wording
from hfkit.cli.audit import AUDIT
from hfkit.cli.calibrate import CALIBRATE
from hfkit.cli.check import CHECK
from hfkit.cli.compare import COMPARE
from hfkit.cli.console import start_notes
from hfkit.cli.explain import EXPLAIN
from hfkit.cli.failures import Ending, asks_for_json, ending, speak_json
from hfkit.cli.groups import recipes, settings, tokenizer
from hfkit.cli.models import ESTIMATE, PUSH, models
from hfkit.cli.options import verb_command
from hfkit.cli.processes import number_of, one_of_several
from hfkit.cli.report import REPORT
from hfkit.cli.serve import SERVE
from hfkit.errors import BROKEN_PIPE, ResourceError
from hfkit.verbs import Verb

app = typer.Typer(
    name="hfkit",
    help=wording.EXAMPLES,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    invoke_without_command=True,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": lambda token: token.replace("_", "-"),
    },
)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return the exit code; nothing is raised."""
    debug = "--debug" in arguments or os.environ.get("HFKIT_DEBUG", "") not in ("", "0", "false")
    start_notes(quiet=number_of("RANK", 0) > 0)
    speak_json(asks_for_json(arguments))
    try:
        if sys.stdout is None:
            raise ResourceError("standard output is closed")
        outcome = dispatch(list(arguments))
    except BaseException as error:
        outcome = ending(error, debug=debug)
    try:
        code = _finish(outcome)
        _flush()
    except (OSError, UnicodeError) as error:
        _abandon_stdout()
        outcome = ending(error, debug=debug)
        outcome.speak()
        return outcome.code
    if code == BROKEN_PIPE:
        _abandon_stdout()
    return code


def dispatch(arguments: list[str]) -> Ending:
    """Parse the arguments and run the command they name."""
    command = typer.main.get_command(app)
    if completion.ASKED in os.environ:
        return Ending(completion.answer(command, arguments))
    try:
        with command.make_context("hfkit", arguments) as context:
            outcome = command.invoke(context)
    except typer.Exit as stop:
        return Ending(stop.exit_code)
    return outcome if isinstance(outcome, Ending) else Ending()


def _finish(outcome: Ending) -> int:
    """Say the last words; where several processes train together, agree on who says them."""
    if one_of_several():
        from hfkit.train.launch import finish

        return finish(outcome.code, outcome.speak)
    outcome.speak()
    return outcome.code


def _flush() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def _abandon_stdout() -> None:
    """Nobody reads stdout any more; keep the interpreter from failing over it when it exits."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)


@app.callback()
def hfkit(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", "-V", help="Print the version and exit.", is_eager=True)
    ] = False,
) -> None:
    """Without a command: the version, or the help."""
    if version:
        print(f"hfkit {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


def _add(verb: Verb[Any, Any, Any], act: Callable[[dict[str, Any]], Ending], help: str) -> None:
    app.command(verb.name, cls=verb_command(verb, act), help=help)(lambda: None)


# As --help lists them: the way of most users first, then what helps before, beside and after it.
_add(api.check, actions.check, CHECK)
_add(api.finetune, actions.finetune, wording.FINETUNE)
_add(api.evaluate, actions.evaluate, wording.EVALUATE)
_add(api.predict, actions.predict, wording.PREDICT)
_add(api.compare, actions.compare, COMPARE)
_add(api.report, actions.report, REPORT)
_add(api.explain, actions.explain, EXPLAIN)
_add(api.calibrate, actions.calibrate, CALIBRATE)
_add(api.audit, actions.audit, AUDIT)
_add(api.serve, actions.serve, SERVE)
_add(api.export, actions.export, wording.EXPORT)
_add(api.push, actions.push, PUSH)
_add(api.convert, actions.convert, wording.CONVERT)
_add(api.estimate, actions.estimate, ESTIMATE)
_add(api.score, actions.score, wording.SCORE)
_add(api.embed, actions.embed, wording.EMBED)
_add(api.search, actions.search, wording.SEARCH)
_add(api.bench, actions.bench, wording.BENCH)
_add(api.verify, actions.verify, wording.VERIFY)
app.add_typer(models, name="models")
app.add_typer(recipes, name="recipes")
app.add_typer(settings, name="config")
tokenizer.command(
    "train", cls=verb_command(api.train_tokenizer, actions.train_tokenizer), help=wording.TOKENIZER
)(lambda: None)
app.add_typer(tokenizer, name="tokenizer")


app.command("demo")(about.demo)
app.command("tasks")(about.tasks)
app.command("env")(about.env)
