"""The command line: one Typer command per verb, one place where every error ends.

    main ─▶ run ─▶ Typer parses ─▶ the verb's action ─▶ resolve ─▶ hfkit.commands.<verb>

An action resolves the settings, calls the function that does the work, and prints what came of it:
results on stdout, everything else on stderr. Nothing heavy is imported until an action runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from hfkit import __version__
from hfkit.api import (
    audit,
    bench,
    check,
    compare,
    convert,
    embed,
    estimate,
    evaluate,
    export,
    finetune,
    predict,
    push,
    report,
    score,
    search,
    train_tokenizer,
    verify,
)
from hfkit.cli import about, completion, following, wording
from hfkit.cli.check import CHECK
from hfkit.cli.compare import COMPARE
from hfkit.cli.compare import act as show_comparison
from hfkit.cli.console import is_terminal, print_json, printable, say, show_scores, start_notes
from hfkit.cli.failures import Ending, asks_for_json, ending, speak_json
from hfkit.cli.groups import recipes, settings, tokenizer
from hfkit.cli.models import ESTIMATE, PUSH, models, show_estimate, show_pushed
from hfkit.cli.options import verb_command
from hfkit.cli.report import AUDIT, REPORT
from hfkit.cli.seeds import tell_seeds
from hfkit.errors import BROKEN_PIPE, FINDINGS, InputError, ResourceError
from hfkit.layers import resolve
from hfkit.verbs import Verb, prepared

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
    if completion.ASKED in os.environ:
        return Ending(completion.answer(command, arguments))
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
    if hasattr(result, "runs"):
        return tell_seeds(result, as_json, quiet)
    if as_json:
        print_json(result.to_json())
    if not hasattr(result, "folder"):  # a dry run
        return None if as_json else _print_plain(result.to_json())
    folder = str(result.folder)
    if not as_json:
        print(folder, flush=True)
    if not quiet:
        show_scores(result.scores, sys.stderr, result.split)
        following.say_trained(folder, result.task)
    return None


def _evaluate(given: dict[str, Any]) -> Ending:
    config = _resolved(evaluate, given)
    result = evaluate(config)
    if config.json_output or not is_terminal(sys.stdout):
        print_json(result.to_json())
    else:
        show_scores(result.scores, sys.stdout)
    for missed in result.missed:
        say("warning", missed)
    if not result.missed:
        following.say_next(config, following.after_evaluate)
    return Ending(FINDINGS if result.missed or result.rejected else 0)


def _compare(given: dict[str, Any]) -> Ending:
    return show_comparison(_resolved(compare, given))


def _predict(given: dict[str, Any]) -> Ending:
    from hfkit.commands.predict import write_predictions

    config = _resolved(predict, given)
    written = write_predictions(config)
    if not written.errors:
        following.say_next(config, following.after_predict)
    return Ending(FINDINGS if written.errors else 0)


def _score(given: dict[str, Any]) -> Ending:
    from hfkit.commands.score import write_scores

    written = write_scores(_resolved(score, given))
    return Ending(FINDINGS if written.errors else 0)


def _embed(given: dict[str, Any]) -> Ending:
    from hfkit.commands.embed import write_vectors

    config = _resolved(embed, given)
    written = write_vectors(config)
    following.say_next(config, following.after_embed)
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
    config = _resolved(convert, given)
    convert(config)
    following.say_next(config, following.after_convert)
    return Ending()


def _check(given: dict[str, Any]) -> Ending:
    from hfkit.cli.check import show_check, wrong

    config = _resolved(check, given)
    result = check(config)
    if config.json_output:
        print_json(result.to_json())
    else:
        show_check(result, sys.stdout)
    return ending(wrong(result, config.train), debug=False) if result.is_wrong else Ending()


def _bench(given: dict[str, Any]) -> Ending:
    from hfkit.cli.bench import show_bench

    config = _resolved(bench, given)
    result = bench(config)
    if config.json_output:
        print_json(result.to_json())
    else:
        show_bench(result, sys.stdout)
    return Ending()


def _estimate(given: dict[str, Any]) -> Ending:
    return _shown(_resolved(estimate, given), estimate, show_estimate)


def _push(given: dict[str, Any]) -> Ending:
    return _shown(_resolved(push, given), push, show_pushed)


def _shown(config: Any, verb: Verb[Any, Any, Any], show: Callable[[Any, Any], None]) -> Ending:
    result = verb(config)
    if config.json_output:
        print_json(result.to_json())
    else:
        show(result, sys.stdout)
    return Ending()


def _export(given: dict[str, Any]) -> Ending:
    config = _resolved(export, given)
    result = export(config)
    if config.json_output:
        print_json(result.to_json())
    else:
        print(result.folder)
    following.say_next(config, following.after_export)
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


def _report(given: dict[str, Any]) -> Ending:
    print(report(_resolved(report, given)).path)
    return Ending()


def _audit(given: dict[str, Any]) -> Ending:
    from hfkit.commands.audit import write_audit

    write_audit(_resolved(audit, given))
    return Ending()


def _train_tokenizer(given: dict[str, Any]) -> Ending:
    config = _resolved(train_tokenizer, given)
    print(train_tokenizer(config).folder)
    following.say_next(config, following.after_tokenizer)
    return Ending()


def _add(verb: Verb[Any, Any, Any], act: Callable[[dict[str, Any]], Ending], help: str) -> None:
    app.command(verb.name, cls=verb_command(verb, act), help=help)(lambda: None)


# As --help lists them: the way of most users first, then what helps before, beside and after it.
_add(check, _check, CHECK)
_add(finetune, _finetune, wording.FINETUNE)
_add(evaluate, _evaluate, wording.EVALUATE)
_add(predict, _predict, wording.PREDICT)
_add(compare, _compare, COMPARE)
_add(report, _report, REPORT)
_add(audit, _audit, AUDIT)
_add(convert, _convert, wording.CONVERT)
_add(estimate, _estimate, ESTIMATE)
_add(score, _score, wording.SCORE)
_add(embed, _embed, wording.EMBED)
_add(search, _search, wording.SEARCH)
_add(bench, _bench, wording.BENCH)
_add(export, _export, wording.EXPORT)
_add(verify, _verify, wording.VERIFY)
_add(push, _push, PUSH)
app.add_typer(models, name="models")
app.add_typer(recipes, name="recipes")
app.add_typer(settings, name="config")
tokenizer.command(
    "train", cls=verb_command(train_tokenizer, _train_tokenizer), help=wording.TOKENIZER
)(lambda: None)
app.add_typer(tokenizer, name="tokenizer")


app.command("demo")(about.demo)
app.command("tasks")(about.tasks)
app.command("env")(about.env)


def _print_plain(value: Any) -> None:
    """Nested plain data as YAML, for people."""
    import yaml

    sys.stdout.write(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))
