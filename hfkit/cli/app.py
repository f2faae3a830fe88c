"""The command line: one Typer command per verb, one place where every error ends.

    main ─▶ run ─▶ Typer parses ─▶ the verb's action ─▶ resolve ─▶ hfkit.commands.<verb>

An action resolves the settings, calls the function that does the work, and prints what came of it:
results on stdout, everything else on stderr. Nothing heavy is imported until an action runs.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from hfkit import __version__
from hfkit.api import (
    Verb,
    bench,
    convert,
    embed,
    evaluate,
    export,
    finetune,
    predict,
    prepared,
    score,
    search,
    serve,
    train_tokenizer,
    verify,
)
from hfkit.cli.console import is_terminal, print_json, printable, say, show_scores, start_notes
from hfkit.cli.failures import Ending, asks_for_json, ending, speak_json
from hfkit.cli.groups import AsJson, recipes, settings, tokenizer
from hfkit.cli.options import verb_command
from hfkit.cli.serve import SERVE
from hfkit.cli.wording import (
    BENCH,
    CONVERT,
    EMBED,
    EVALUATE,
    EXAMPLES,
    EXPORT,
    FINETUNE,
    PREDICT,
    SCORE,
    SEARCH,
    TOKENIZER,
    VERIFY,
)
from hfkit.errors import BROKEN_PIPE, FINDINGS, InputError, ResourceError
from hfkit.layers import resolve
from hfkit.registry import example_of

app = typer.Typer(
    name="hfkit",
    help=EXAMPLES,
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
    start_notes(quiet=_number_of("RANK", 0) > 0)
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
    if "_HFKIT_COMPLETE" in os.environ:
        command.main(arguments, "hfkit")  # a shell asks for completions
    try:
        with command.make_context("hfkit", arguments) as context:
            outcome = command.invoke(context)
    except typer.Exit as stop:
        return Ending(stop.exit_code)
    return outcome if isinstance(outcome, Ending) else Ending()


def _one_of_several() -> bool:
    return _number_of("WORLD_SIZE", 1) > 1


def _number_of(variable: str, otherwise: int) -> int:
    """A number that a launcher has set; what is no number was set by something else."""
    value = os.environ.get(variable, "")
    return int(value) if value.isdecimal() else otherwise


def _has_parent() -> bool:
    """Whether another hfkit started this process to train with it."""
    if not _one_of_several():
        return False
    from hfkit.train.launch import has_parent

    return has_parent()


def _finish(outcome: Ending) -> int:
    """Say the last words; where several processes train together, agree on who says them."""
    if _one_of_several():
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


def _resolved(verb: Verb[Any, Any, Any], given: dict[str, Any]) -> Any:
    # What a parent has resolved already is not laid under the environment once more.
    config = prepared(resolve(verb.config_class, given, {} if _has_parent() else None))
    speak_json(config.error_format == "json")
    other_process = _number_of("RANK", 0) > 0
    start_notes(quiet=config.quiet or other_process, verbose=config.verbose and not other_process)
    return config


def _finetune(given: dict[str, Any]) -> Ending:
    config = _resolved(finetune, given)
    result = finetune(config)
    if _has_parent() or _number_of("RANK", 0) > 0:  # the parent, or the first process, tells
        return Ending()
    # Under torchrun a code but 0 would look like a crash to the others.
    found = getattr(result, "rejected", 0) and not _one_of_several()
    code = FINDINGS if found else 0
    return Ending(code, lambda: _tell_finetuned(result, config.json_output, config.quiet))


def _tell_finetuned(result: Any, as_json: bool, quiet: bool) -> None:
    """The run's folder is the one line on stdout; scores and what to do next go to stderr."""
    if as_json:
        print_json(result.to_json())
    if not hasattr(result, "folder"):  # a dry run
        return None if as_json else _print_plain(result.to_json())
    folder = str(result.folder)
    if not as_json:
        print(folder, flush=True)
    if not quiet:
        show_scores(result.scores, sys.stderr, result.split)
        _say_next(folder, result.task)
    return None


def _say_next(folder: str, task: str) -> None:
    run = shlex.quote(folder)
    say("next", f"hfkit predict {run} {example_of(task)}")
    say("next", f"hfkit evaluate {run} test.csv")


def _evaluate(given: dict[str, Any]) -> Ending:
    config = _resolved(evaluate, given)
    result = evaluate(config)
    if config.json_output or not is_terminal(sys.stdout):
        print_json(result.to_json())
    else:
        show_scores(result.scores, sys.stdout)
    for missed in result.missed:
        say("warning", missed)
    return Ending(FINDINGS if result.missed or result.rejected else 0)


def _predict(given: dict[str, Any]) -> Ending:
    from hfkit.commands.predict import write_predictions

    written = write_predictions(_resolved(predict, given))
    return Ending(FINDINGS if written.errors else 0)


def _score(given: dict[str, Any]) -> Ending:
    from hfkit.commands.score import write_scores

    written = write_scores(_resolved(score, given))
    return Ending(FINDINGS if written.errors else 0)


def _embed(given: dict[str, Any]) -> Ending:
    from hfkit.commands.embed import write_vectors

    written = write_vectors(_resolved(embed, given))
    return Ending(FINDINGS if written.errors else 0)


def _search(given: dict[str, Any]) -> Ending:
    """The hits may take stdout; the scores then go to stderr."""
    from hfkit.commands.search import write_hits

    config = _resolved(search, given)
    result = write_hits(config)
    to_file = config.output not in (None, "-")
    if result.scores and to_file and (config.json_output or not is_terminal(sys.stdout)):
        print_json(result.to_json())
    elif result.scores:
        show_scores(result.scores, sys.stdout if to_file else sys.stderr, "queries judged")
    return Ending(FINDINGS if result.errors else 0)


def _convert(given: dict[str, Any]) -> Ending:
    convert(_resolved(convert, given))
    return Ending()


def _bench(given: dict[str, Any]) -> Ending:
    from hfkit.cli.bench import show_bench

    config = _resolved(bench, given)
    result = bench(config)
    if config.json_output:
        print_json(result.to_json())
    else:
        show_bench(result, sys.stdout)
    return Ending()


def _export(given: dict[str, Any]) -> Ending:
    config = _resolved(export, given)
    result = export(config)
    if config.json_output:
        print_json(result.to_json())
    else:
        print(result.folder)
    return Ending(FINDINGS if result.refused else 0)


def _verify(given: dict[str, Any]) -> Ending:
    config = _resolved(verify, given)
    result = verify(config)
    if config.json_output:
        print_json(result.to_json())
    else:
        for line in result.lines():
            print(printable(line))
    if result.whole:
        return Ending()
    count = len(result.damaged)
    files = "1 file is" if count == 1 else f"{count} files are"
    return ending(InputError(f"{files} damaged", place=str(result.folder)), debug=False)


def _serve(given: dict[str, Any]) -> Ending:
    serve(_resolved(serve, given))
    return Ending()


def _train_tokenizer(given: dict[str, Any]) -> Ending:
    print(train_tokenizer(_resolved(train_tokenizer, given)).folder)
    return Ending()


def _add(verb: Verb[Any, Any, Any], act: Callable[[dict[str, Any]], Ending], help: str) -> None:
    app.command(verb.name, cls=verb_command(verb, act), help=help)(lambda: None)


_add(finetune, _finetune, FINETUNE)
_add(evaluate, _evaluate, EVALUATE)
_add(predict, _predict, PREDICT)
_add(score, _score, SCORE)
_add(embed, _embed, EMBED)
_add(search, _search, SEARCH)
_add(convert, _convert, CONVERT)
_add(bench, _bench, BENCH)
_add(export, _export, EXPORT)
_add(verify, _verify, VERIFY)
_add(serve, _serve, SERVE)
app.add_typer(recipes, name="recipes")
app.add_typer(settings, name="config")
tokenizer.command("train", cls=verb_command(train_tokenizer, _train_tokenizer), help=TOKENIZER)(
    lambda: None
)
app.add_typer(tokenizer, name="tokenizer")


@app.command("demo")
def demo(
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="Folder of the run", metavar="TEXT")
    ] = None,
) -> None:
    """See it work: fine-tune, evaluate and predict, offline, in a minute."""
    from hfkit.cli.demo import show_demo
    from hfkit.commands.demo import demo as run_demo

    show_demo(run_demo(output), sys.stdout)


@app.command("tasks")
def tasks(json_output: AsJson = False) -> None:
    """List the tasks, their columns and their options."""
    from hfkit.commands.tasks import tasks as list_tasks

    found = list_tasks()
    if json_output:
        return print_json(found)
    for task in found:
        print(f"{task['name']}: {task['summary']}")
        if task["aliases"]:
            print(f"  also called {', '.join(task['aliases'])}")
        options = {name: option["help"] for name, option in task["options"].items()}
        for heading, entries in (("columns", task["columns"]), ("options", options)):
            if entries:
                print(f"  {heading}:")
                width = max(map(len, entries))
                for name, what in entries.items():
                    print(f"    {name:<{width}}  {what}")
    return None


@app.command("env")
def env(json_output: AsJson = False) -> None:
    """Print versions and devices, for a bug report."""
    from hfkit.commands.env import env as describe

    found = describe()
    if json_output:
        return print_json(found)
    found["devices"] = ", ".join(found["devices"])
    for name, value in {**found.pop("versions"), **found.pop("environment"), **found}.items():
        print(f"{name}: {value}")
    return None


def _print_plain(value: Any) -> None:
    """Nested plain data as YAML, for people."""
    import yaml

    sys.stdout.write(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))
