"""What a verb is: a function of a configuration that is called with single settings."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar

from hfkit.config import Section
from hfkit.errors import InputError
from hfkit.layers import resolve
from hfkit.recipe import is_recipe_file
from hfkit.registry import builtin_options

P = ParamSpec("P")
C = TypeVar("C", bound=Section)
R = TypeVar("R")


class Verb(Generic[P, C, R]):
    """A function of a configuration that can be called with single settings."""

    def __init__(
        self,
        run: Callable[[C], R],
        config_class: type[C],
        positional: Sequence[str],
    ) -> None:
        update_wrapper(self, run)  # its name and docstring
        self.run = run
        self.name = run.__name__
        self.config_class = config_class
        self.positional = tuple(positional)

    def __getattr__(self, name: str) -> Any:
        """The signature is made when someone asks: of a hundred arguments it takes its time."""
        if name != "__signature__":
            raise AttributeError(name)
        self.__signature__ = _signature(self.config_class, self.positional)
        return self.__signature__

    def __call__(
        self, first: Any = None, second: Any = None, /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Resolve the settings and run; a ready configuration is taken as it is."""
        if isinstance(first, self.config_class):
            return self.run(first)
        values = [value for value in (first, second, *args) if value is not None]
        given = self.place(values, kwargs)
        return self.run(prepared(resolve(self.config_class, given, as_flags=False)))

    def place(self, values: Sequence[Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """Give positional values the names that are not taken yet, in order; the last name takes
        the rest if it is a list. A YAML file in the first place is a recipe.

        Raises `InputError` for one value too many.
        """
        found = {name: value for name, value in given.items() if value is not None}
        rest = list(values)
        for name in self.positional:
            if not rest or name in found:
                continue
            is_list = self.config_class.model_fields[name].annotation == list[str]
            if name == "train" and isinstance(rest[0], str) and is_recipe_file(rest[0]):
                found["config"] = rest.pop(0)
            elif is_list and not isinstance(rest[0], list | tuple):
                found[name], rest = rest, []
            else:
                found[name] = rest.pop(0)
        if rest:
            expected = " ".join(name.upper() for name in self.positional)
            raise InputError(f"unexpected argument '{rest[0]}'", hint=f"expected {expected}")
        return found


def prepared(config: C) -> C:
    """Set the environment that a configuration asks of the libraries, and return it."""
    if config.model_dump().get("offline"):
        for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"):
            os.environ[variable] = "1"
    return config


def _signature(config: type[Section], positional: Sequence[str]) -> inspect.Signature:
    """What help() and editors show: the positional names first, then all settings by name, with
    the options of the built-in tasks."""
    fields = dict(config.model_fields)
    if "options" in fields:
        for name, options in builtin_options().items():
            fields.setdefault(name, options.model_fields[name])
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = []
    for name in [*positional, *(name for name in fields if name not in positional)]:
        field = fields[name]
        kind = kinds[name not in positional]
        default = field.get_default(call_default_factory=True)
        parameters.append(
            inspect.Parameter(name, kind, default=default, annotation=field.annotation)
        )
    return inspect.Signature(parameters)


def verb(
    config_class: type[C], arguments: Callable[P, Section], *positional: str
) -> Callable[[Callable[[C], R]], Verb[P, C, R]]:
    """Make a function of a configuration callable with single settings; the fields of `arguments`,
    the configuration and the options of the built-in tasks, are what a type checker allows."""
    return lambda run: Verb(run, config_class, positional)
