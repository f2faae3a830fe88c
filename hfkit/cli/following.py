"""What to try next: one command, said on stderr once another has done its work.

A training says it in its log, too. The other commands stand in scripts and pipes, so they say it to
a person at a terminal only; --quiet and --json keep them from it.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from hfkit.cli.console import is_terminal, say
from hfkit.registry import example_of

if TYPE_CHECKING:
    from hfkit.config import (
        ConvertConfig,
        EmbedConfig,
        EvaluateConfig,
        ExportConfig,
        PredictConfig,
        TokenizerConfig,
    )
    from hfkit.config.machine import Machine

C = TypeVar("C", bound="Machine")
SETTINGS = "hfkit.yaml"  # a run has it, a model from elsewhere not
SCORED_AGAIN = (".jsonl", ".csv")  # answers that evaluate reads


def say_next(config: C, after: Callable[[C], str]) -> None:
    """Say which command to try next: what `after` makes of the settings, "" for none."""
    wanted = not config.quiet and not getattr(config, "json_output", False)
    if wanted and is_terminal(sys.stderr) and (text := after(config)):
        say("next", text)


def say_trained(folder: str, task: str, split: str, train: str | None) -> None:
    """What a finished training is good for: answers, and its scores on a file like that of the
    training; where test data were scored, a page on them."""
    run = shlex.quote(folder)
    say("next", f"hfkit predict {run} {example_of(task)}")
    if split != "test":
        say("next", f"hfkit evaluate {run} {_like(train, 'test')}")
    elif find_spec("matplotlib"):
        say("next", f"hfkit report {run}")


def _like(file: str | None, stem: str) -> str:
    """A file's name with another stem; of what is no file, one that most tools write.

    >>> _like("data/people.conll.gz", "test"), _like("org/name", "test")
    ('test.conll', 'test.csv')
    """
    suffix = Path((file or "").removesuffix(".gz")).suffix
    return stem + (suffix if suffix.isascii() and suffix[1:].isalnum() else ".csv")


def after_evaluate(config: EvaluateConfig) -> str:
    """A page on the scores of a run, where that can be made and is not yet; else the answers
    behind them."""
    from hfkit.commands.report import default_path

    folder = Path(config.model or "")
    if not config.data or not folder.is_dir():
        return ""
    flags = _read_alike(config)
    possible = not Path(default_path(str(folder))).exists() and find_spec("matplotlib")
    if possible and (folder / SETTINGS).is_file():
        return _command("report", config.model, config.data, *flags)
    return f"{_command('predict', config.model, config.data, *flags)} --scores -o answers.jsonl"


def _read_alike(config: EvaluateConfig) -> list[str]:
    """The flags with which another command reads the same rows of the same file."""
    from hfkit.config import Columns, Reading

    flags = []
    for name, field in {**Reading.model_fields, **Columns.model_fields}.items():
        value, flag = getattr(config, name), name.replace("_", "-")
        if value == field.get_default(call_default_factory=True):
            continue
        if isinstance(value, bool):
            flags.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            flags += [f"--{flag}", ",".join(value) if isinstance(value, list) else str(value)]
    return flags


def after_predict(config: PredictConfig) -> str:
    """The score of answers that were written for a file whose right answers may be known."""
    whole = not config.only_prediction and not config.prefix and not config.text
    if not (whole and config.output and config.output.endswith(SCORED_AGAIN)):
        return ""
    if len(config.inputs) != 1 or not Path(config.inputs[0]).is_file():
        return ""
    command = _command("evaluate", config.output, config.inputs[0])
    return f"{command}  # if the right answers are in it"


def after_embed(config: EmbedConfig) -> str:
    """A search in the vectors that were written."""
    if config.output in (None, "-"):
        return ""
    return f'{_command("search", config.model, config.output)} "some text"'


def after_export(config: ExportConfig) -> str:
    """How fast the model has become."""
    return f"{_command('bench', config.model)}  # how fast it answers now"


def after_convert(config: ConvertConfig) -> str:
    """What a training would make of the file that was written."""
    if config.output in (None, "-"):
        return ""
    return f"{_command('finetune', config.output)} --dry-run"


def after_tokenizer(config: TokenizerConfig) -> str:
    """A model from scratch with the tokenizer."""
    if len(config.files) != 1 or not config.output:
        return ""
    tokenizer = shlex.quote(config.output)
    return (
        f"{_command('finetune', config.files[0])} -t mlm --config-size small "
        f"--tokenizer {tokenizer}"
    )


def _command(verb: str, *words: str | None) -> str:
    return shlex.join(["hfkit", verb, *(word or "" for word in words)])
