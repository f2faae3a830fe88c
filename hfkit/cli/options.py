"""From settings to flags: each command's parameters and its help come from its configuration.

Every flag is read as text and left to `hfkit.layers`, so that a value is checked in one place,
with one wording, wherever it was written. None means "not given": defaults are laid under the
flags later, and the help only shows them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from difflib import SequenceMatcher
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
import typer.core
import typer.main
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from hfkit.cli.completion import completer, word_completer
from hfkit.config import ExplainConfig, FinetuneConfig, Section
from hfkit.config.explain import EXPLAINED
from hfkit.errors import few, nearest
from hfkit.layers import CONFIGS, extra, flag, sections, verb_name
from hfkit.registry import builtin_options
from hfkit.verbs import Verb

METAVARS = {int: "INT", float: "FLOAT", str: "TEXT"}
NEAR = 0.8  # from which on a flag of another command may have been meant
POSITIONAL = "arguments"  # the one parameter that takes what is not a flag
HANDLED = ("options",)  # settings without a flag of their own


class VerbCommand(typer.core.TyperCommand):
    """A command whose help is grouped by section and shows one spelling of each flag.

    Its parameters, a hundred of them, are made when this command is the one that is asked for.
    """

    verb: Verb[Any, Any, Any]
    act: Callable[[dict[str, Any]], Any]
    made: list[Any] | None = None

    def invoke(self, ctx: Any) -> Any:
        """Hand over what was given, the positional words under their names."""
        flags = dict(ctx.params)
        words = flags.pop(POSITIONAL, None) or []
        given = {name: value for name, value in flags.items() if value not in (None, [], ())}
        return self.act(self.verb.place(words, given))

    @property
    def params(self) -> list[Any]:
        """What Typer makes of the verb's settings."""
        if self.made is None:
            self.made = declared(self.verb)
        return self.made

    @params.setter
    def params(self, value: list[Any]) -> None:
        """Typer sets what it read off the callback: nothing."""

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Offer one spelling of each flag to a shell, another only where nothing else fits."""
        found: list[Any] = super().shell_complete(ctx, incomplete)
        first = {text for param in self.params for text in _spellings_shown(param)}
        return [item for item in found if item.value in first] or found

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The usage line names the positional arguments one by one."""
        arguments = [param for param in self.params if param.param_type_name == "argument"]
        return ["[OPTIONS]", *(str(param.metavar) for param in arguments if param.metavar)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write one block per section, in the order in which the parameters were declared."""
        blocks: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            if param.param_type_name == "option":
                title = getattr(param, "rich_help_panel", None) or "Help"
                blocks.setdefault(title, []).append(_help_record(param))
        for title, records in blocks.items():
            with formatter.section(title):
                formatter.write_dl(records, col_max=28)


def _spellings_shown(param: Any) -> list[str]:
    """The canonical spelling of a flag, and its negation."""
    long = [text for text in param.opts if text.startswith("--")]
    return [*long[:1], *param.secondary_opts]


def _help_record(param: Any) -> tuple[str, str]:
    """The two columns of a flag's help: short and canonical spelling, and what it does."""
    short = [text for text in param.opts if not text.startswith("--")]
    long = [text for text in param.opts if text.startswith("--")]
    if param.is_flag and param.secondary_opts:
        long = [f"--[no-]{long[0].removeprefix('--')}"]
    metavar = "" if param.is_flag else f" {param.metavar}"
    return ", ".join([*short, *long[:1]]) + metavar, param.help or ""


def verb_command(
    verb: Verb[Any, Any, Any], act: Callable[[dict[str, Any]], Any]
) -> type[VerbCommand]:
    """Make the class of a verb's command, which gathers what was given and hands it to `act`."""
    return type("Command", (VerbCommand,), {"verb": verb, "act": staticmethod(act)})


def declared(verb: Verb[Any, Any, Any]) -> list[Any]:
    """The arguments and options of a verb's command, as Typer has them."""

    def described(**flags: Any) -> None:
        """Stands for the function that these would be the parameters of."""

    described.__signature__ = inspect.Signature(parameters(verb))  # type: ignore[attr-defined]
    alone = typer.Typer(rich_markup_mode=None, add_completion=False)
    alone.command()(described)
    return list(typer.main.get_command(alone).params)


def parameters(verb: Verb[Any, Any, Any]) -> list[inspect.Parameter]:
    """The parameters of a verb's command: its positional words, then one flag per setting."""
    names = " ".join(f"[{name.upper()}]" for name in verb.positional)
    complete = word_completer(verb.positional, verb.config_class, POSITIONAL)
    words = Annotated[
        list[str] | None,
        typer.Argument(metavar=names, show_default=False, autocompletion=complete),
    ]
    return [
        _parameter(POSITIONAL, words),
        *(
            _parameter(name, option(model, name, title))
            for title, model, name in titled_settings(verb.config_class)
        ),
    ]


def titled_settings(config: type[Section]) -> list[tuple[str, type[BaseModel], str]]:
    """Every setting that is a flag: the title it stands under, the class that declares it, its
    name. The options of the built-in tasks follow the section of the task."""
    found: list[tuple[str, type[BaseModel], str]] = []
    for number, (title, names) in enumerate(sections(config)):
        shown = title if number else "Options"
        found += [(shown, config, name) for name in names if name not in HANDLED]
        if "options" in names:
            found += [
                (_title_of(model, name), model, name)
                for name, model in _options_of(config).items()
                if config is FinetuneConfig or not extra(model, name).get("training_only")
            ]
    return found


def _options_of(config: type[Section]) -> dict[str, type[BaseModel]]:
    """The options of the built-in tasks that a command can be asked for."""
    if config is ExplainConfig:
        return builtin_options(tasks=EXPLAINED)
    return builtin_options(trainable=config is FinetuneConfig)


def option(model: type[BaseModel], name: str, title: str) -> Any:
    """The annotation that makes Typer declare the flag of a setting."""
    field = model.model_fields[name]
    metavar: str | None = value_name(field.annotation)
    spellings = spellings_of(model, name)
    kind: Any = str | None
    if field.annotation is bool:
        kind, metavar = bool | None, None
        if field.default is True:
            spellings[0] += f"/--no-{name.replace('_', '-')}"
    elif field.annotation == list[str]:
        kind = list[str] | None
    choices = tuple(choices_of(field.annotation))
    return Annotated[
        kind,
        typer.Option(
            *spellings,
            metavar=metavar,
            help=help_text(field),
            show_default=False,
            rich_help_panel=title,
            autocompletion=completer(name, choices),
        ),
    ]


def advice_on(unknown: str, own: Iterable[str]) -> str:
    """What to say of a flag that a command does not have, whose `own` flags are given: which
    commands have it, else which flag is near it; "" where none is.

    >>> advice_on("--epochs", ["--output", "--no-header"])
    'it belongs to hfkit finetune'
    >>> advice_on("--ephocs", ["--batch-size"]), advice_on("--ouput", ["--output"])
    ("did you mean '--epochs', of hfkit finetune?", "did you mean '--output'?")
    >>> advice_on("--tset", ["--set", "--test"])
    "did you mean '--test'?"
    """
    owners: dict[str, list[str]] = {}
    for config in CONFIGS:
        for _, model, name in titled_settings(config):
            for text in spellings_of(model, name):
                owners.setdefault(text, []).append(verb_name(config))
    if unknown in owners:
        return f"it belongs to hfkit {few(owners[unknown])}"
    close = nearest(unknown, own)
    if sorted(close) == sorted(unknown):  # letters changed places: no other flag is nearer
        return f"did you mean '{close}'?"
    nearness = SequenceMatcher(None, close, unknown).ratio() if close else NEAR
    elsewhere = nearest(unknown, owners, max(nearness, NEAR))
    if elsewhere and elsewhere != close:
        return f"did you mean '{elsewhere}', of hfkit {few(owners[elsewhere])}?"
    return f"did you mean '{close}'?" if close else ""


def spellings_of(model: type[BaseModel], name: str) -> list[str]:
    """All spellings of a setting's flag, the canonical one first."""
    return list(dict.fromkeys([flag(name), *extra(model, name).get("flags", [])]))


def help_text(field: FieldInfo) -> str:
    """What a setting does, with its default where that says something."""
    default = field.default
    if default is None or default is False or default in ("", []):
        return field.description or ""
    shown = "yes" if default is True else f"{default:g}" if isinstance(default, float) else default
    return f"{field.description} [default: {shown}]"


def value_name(annotation: Any) -> str:
    """The word for a flag's value in the help: its choices, or its kind.

    >>> value_name(int | None), value_name(Literal["a", "b"])
    ('INT', 'a|b')
    """
    choices = choices_of(annotation)
    if choices:
        return "|".join(choices)
    kinds = {annotation, *get_args(annotation)}
    return next((name for kind, name in METAVARS.items() if kind in kinds), "TEXT")


def choices_of(annotation: Any) -> list[str]:
    """The values that a setting allows, if it has a fixed list of them."""
    parts = [annotation, *get_args(annotation)]
    literals = [part for part in parts if get_origin(part) is Literal]
    return [str(choice) for part in literals for choice in get_args(part)]


def _parameter(name: str, annotation: Any) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=None, annotation=annotation)


def _title_of(model: type[BaseModel], name: str) -> str:
    """The heading of an option: the first line of the class that declares it."""
    declaring = next(
        klass for klass in model.__mro__[::-1] if name in vars(klass).get("__annotations__", {})
    )
    return (declaring.__doc__ or "").splitlines()[0].rstrip(".").replace("`", "")
