"""What to try next: one command, said on stderr once another has done its work.

A training says it in its log, too. The other commands stand in scripts and pipes, so they say it to
a person at a terminal only; --quiet and --json keep them from it.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
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
SCORED_AGAIN = (".jsonl", ".csv")  # answers that evaluate reads


def say_next(config: C, after: Callable[[C], str]) -> None:
    """Say which command to try next: what `after` makes of the settings, "" for none."""
    wanted = not config.quiet and not getattr(config, "json_output", False)
    if wanted and is_terminal(sys.stderr) and (text := after(config)):
        say("next", text)


def say_trained(folder: str, task: str) -> None:
    """What a finished training is good for."""
    run = shlex.quote(folder)
    say("next", f"hfkit predict {run} {example_of(task)}")
    say("next", f"hfkit evaluate {run} test.csv")


def after_evaluate(config: EvaluateConfig) -> str:
    """The answers behind the scores."""
    if not config.data or not Path(config.model or "").is_dir():
        return ""
    return f"{_command('predict', config.model, config.data)} --scores -o answers.jsonl"


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
