"""Between Typer, which completes commands and flags, and what there is for the values of settings.

What a setting allows is offered by its list; models, recipes, tasks and metrics are looked for
(`hfkit.commands.completion`); where nothing is offered, the shell completes the names of files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel

ASKED = "_HFKIT_COMPLETE"  # set where a shell asks


def answer(command: Any, arguments: Sequence[str]) -> int:
    """Tell the shell that asks what to offer, and return the exit code; an error in the middle of a
    line that is being typed would only be in the way."""
    try:
        command.main(list(arguments), "hfkit")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    except Exception:
        if os.environ.get("HFKIT_DEBUG"):
            raise
        return 1
    return 0


def completer(name: str, choices: Sequence[str] = ()) -> Callable[[str], list[str]]:
    """The function by which Typer completes a setting."""
    return lambda incomplete: list(choices) or _offered(name, incomplete)


def _offered(name: str, start: str) -> list[str]:
    from hfkit.commands.completion import offered

    return offered(name, start)


def word_completer(
    names: Sequence[str], config: type[BaseModel], variable: str
) -> Callable[[Any, str], list[str]]:
    """The function by which Typer completes a command's words: the first of `names` that no word
    and no flag has given yet. `variable` holds the words so far; Typer knows the function's own
    parameters by their names."""

    def complete(ctx: Any, incomplete: str) -> list[str]:
        words = ctx.params.get(variable) or []
        free = [name for name in names if not ctx.params.get(name)]
        for name in free[: len(words) + 1]:
            if config.model_fields[name].annotation == list[str]:
                return _offered(name, incomplete)  # it takes all that follow
        return _offered(free[len(words)], incomplete) if len(words) < len(free) else []

    return complete
