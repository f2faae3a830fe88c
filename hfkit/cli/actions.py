"""What each command does: resolve its settings, call the verb, print what came of it.

Results go to stdout, everything else to stderr. Nothing heavy is imported until an action runs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO

from hfkit import api
from hfkit.cli import following
from hfkit.cli.audit import show_audited
from hfkit.cli.calibrate import show_calibrated
from hfkit.cli.compare import act as show_comparison
from hfkit.cli.console import is_terminal, print_json, printable, say, show_scores, start_notes
from hfkit.cli.explain import show_explained
from hfkit.cli.failures import Ending, ending, speak_json
from hfkit.cli.models import show_estimate, show_pushed
from hfkit.cli.processes import has_parent, number_of, one_of_several
from hfkit.cli.seeds import tell_seeds
from hfkit.errors import FINDINGS, InputError
from hfkit.layers import resolve
from hfkit.verbs import Verb, prepared

if TYPE_CHECKING:
    from hfkit.config import FinetuneConfig


def _resolved(verb: Verb[Any, Any, Any], given: dict[str, Any]) -> Any:
    # What a parent has resolved already is not laid under the environment once more.
    config = prepared(resolve(verb.config_class, given, {} if has_parent() else None))
    speak_json(config.error_format == "json")
    other_process = number_of("RANK", 0) > 0
    start_notes(quiet=config.quiet or other_process, verbose=config.verbose and not other_process)
    return config


def finetune(given: dict[str, Any]) -> Ending:
    config = _resolved(api.finetune, given)
    result = api.finetune(config)
    if has_parent() or number_of("RANK", 0) > 0:  # the parent, or the first process, tells
        return Ending()
    # Under torchrun a code but 0 would look like a crash to the others.
    found = getattr(result, "rejected", 0) and not one_of_several()
    code = FINDINGS if found else 0
    return Ending(code, lambda: _tell_finetuned(result, config))


def _tell_finetuned(result: Any, config: FinetuneConfig) -> None:
    """The run's folder is the one line on stdout; scores and what to do next go to stderr."""
    as_json, quiet = config.json_output, config.quiet
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
        following.say_trained(folder, result.task, result.split, config.train)
    return None


def evaluate(given: dict[str, Any]) -> Ending:
    config = _resolved(api.evaluate, given)
    result = api.evaluate(config)
    if config.json_output or not is_terminal(sys.stdout):
        print_json(result.to_json())
    else:
        show_scores(result.scores, sys.stdout)
    for missed in result.missed:
        say("warning", missed)
    if not result.missed:
        following.say_next(config, following.after_evaluate)
    return Ending(FINDINGS if result.missed or result.rejected else 0)


def compare(given: dict[str, Any]) -> Ending:
    return show_comparison(_resolved(api.compare, given))


def predict(given: dict[str, Any]) -> Ending:
    from hfkit.commands.predict import write_predictions

    config = _resolved(api.predict, given)
    written = write_predictions(config)
    if not written.errors:
        following.say_next(config, following.after_predict)
    return Ending(FINDINGS if written.errors else 0)


def score(given: dict[str, Any]) -> Ending:
    from hfkit.commands.score import write_scores

    written = write_scores(_resolved(api.score, given))
    return Ending(FINDINGS if written.errors else 0)


def embed(given: dict[str, Any]) -> Ending:
    from hfkit.commands.embed import write_vectors

    config = _resolved(api.embed, given)
    written = write_vectors(config)
    following.say_next(config, following.after_embed)
    return Ending(FINDINGS if written.errors else 0)


def search(given: dict[str, Any]) -> Ending:
    """The hits may take stdout; the scores then go to stderr."""
    from hfkit.commands.search import write_hits

    config = _resolved(api.search, given)
    result = write_hits(config)
    to_file = config.output not in (None, "-")
    if result.scores and to_file and (config.json_output or not is_terminal(sys.stdout)):
        print_json(result.to_json())
    elif result.scores:
        show_scores(result.scores, sys.stdout if to_file else sys.stderr, "queries judged")
    return Ending(FINDINGS if result.errors else 0)


def convert(given: dict[str, Any]) -> Ending:
    config = _resolved(api.convert, given)
    api.convert(config)
    following.say_next(config, following.after_convert)
    return Ending()


def check(given: dict[str, Any]) -> Ending:
    from hfkit.cli.check import show_check, wrong

    config = _resolved(api.check, given)
    result = api.check(config)
    _print(result, config.json_output, show_check)
    return ending(wrong(result, config.train), debug=False) if result.is_wrong else Ending()


def bench(given: dict[str, Any]) -> Ending:
    from hfkit.cli.bench import show_bench

    return _shown(api.bench, given, show_bench)


def calibrate(given: dict[str, Any]) -> Ending:
    return _shown(api.calibrate, given, show_calibrated)


def explain(given: dict[str, Any]) -> Ending:
    return _shown(api.explain, given, show_explained)


def _shown(verb: Verb[Any, Any, Any], given: dict[str, Any], show: Callable[..., None]) -> Ending:
    config = _resolved(verb, given)
    _print(verb(config), config.json_output, show)
    return Ending()


def _print(result: Any, as_json: bool, show: Callable[..., None]) -> None:
    """Print a result as JSON where that is asked for, else as a person reads it."""
    if as_json:
        print_json(result.to_json())
    else:
        show(result, sys.stdout)


def estimate(given: dict[str, Any]) -> Ending:
    return _shown(api.estimate, given, show_estimate)


def push(given: dict[str, Any]) -> Ending:
    return _shown(api.push, given, show_pushed)


def export(given: dict[str, Any]) -> Ending:
    config = _resolved(api.export, given)
    result = api.export(config)
    _print(result, config.json_output, lambda found, stream: print(found.folder, file=stream))
    following.say_next(config, following.after_export)
    return Ending(FINDINGS if result.refused else 0)


def verify(given: dict[str, Any]) -> Ending:
    config = _resolved(api.verify, given)
    result = api.verify(config)
    _print(result, config.json_output, _show_verified)
    if result.whole:
        return Ending()
    count = len(result.damaged)
    files = "1 file is" if count == 1 else f"{count} files are"
    return ending(InputError(f"{files} damaged", place=str(result.folder)), debug=False)


def _show_verified(result: Any, stream: TextIO) -> None:
    for line in result.lines():
        print(printable(line), file=stream)


def report(given: dict[str, Any]) -> Ending:
    print(api.report(_resolved(api.report, given)).path)
    return Ending()


def audit(given: dict[str, Any]) -> Ending:
    from hfkit.commands.audit import tell, write_audit

    config = _resolved(api.audit, given)
    if config.output is None and is_terminal(sys.stdout):
        audited = api.audit(config)
        show_audited(audited, sys.stdout)
        tell(audited)
    else:
        write_audit(config)
    return Ending()


def serve(given: dict[str, Any]) -> Ending:
    api.serve(_resolved(api.serve, given))
    return Ending()


def train_tokenizer(given: dict[str, Any]) -> Ending:
    config = _resolved(api.train_tokenizer, given)
    print(api.train_tokenizer(config).folder)
    following.say_next(config, following.after_tokenizer)
    return Ending()


def _print_plain(value: Any) -> None:
    """Nested plain data as YAML, for people."""
    import yaml

    sys.stdout.write(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))
