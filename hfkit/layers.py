"""Layering: defaults < recipe < environment < flags or Python arguments, into one typed value.

A layer maps names of settings to what was written there. Later layers win, key by key; then
pydantic checks the result once, and what it finds wrong is told with the place it came from: the
line of the recipe, the variable, the flag. The options of the task are named like any other
setting and kept apart in `options`. `dump` writes what `resolve` reads back equal.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from hfkit.config import (
    AuditConfig,
    BenchConfig,
    CalibrateConfig,
    CheckConfig,
    CompareConfig,
    Computing,
    ConvertConfig,
    EmbedConfig,
    EstimateConfig,
    EvaluateConfig,
    ExplainConfig,
    ExportConfig,
    FinetuneConfig,
    PredictConfig,
    Processes,
    PushConfig,
    ReportConfig,
    ScoreConfig,
    SearchConfig,
    Section,
    ServeConfig,
    TokenizerConfig,
    VerifyConfig,
)
from hfkit.config.mistakes import quoted, shown, what_is_wrong
from hfkit.errors import InputError, did_you_mean, few, nearest
from hfkit.redaction import redacted

if TYPE_CHECKING:
    from pydantic import BaseModel

C = TypeVar("C", bound=Section)
M = TypeVar("M", bound="BaseModel")

CONFIGS: tuple[type[Section], ...] = (
    FinetuneConfig, EvaluateConfig, CompareConfig, PredictConfig, EmbedConfig, SearchConfig,
    ScoreConfig, ConvertConfig, BenchConfig, ExportConfig, VerifyConfig, TokenizerConfig,
    ReportConfig, AuditConfig, CheckConfig, EstimateConfig, PushConfig, CalibrateConfig,
    ExplainConfig, ServeConfig,
)  # fmt: skip
ABOUT_THE_RECIPE = frozenset({"about", "expected", "smoke"})  # notes in a recipe, not settings
PREFIX = "HFKIT_"

logger = logging.getLogger(__name__)


@dataclass
class Layer:
    """Settings as one source gives them, with the place each was written."""

    settings: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)

    def over(self, other: Layer) -> Layer:
        """Return this layer laid over a weaker one."""
        return Layer(
            {**other.settings, **self.settings},
            {**other.options, **self.options},
            {**other.places, **self.places},
        )


def resolve(
    cls: type[C],
    given: Mapping[str, Any],
    environment: Mapping[str, str] | None = None,
    *,
    as_flags: bool = True,
) -> C:
    """Lay the sources of settings over one another and return the checked configuration.

    `given` holds flags or Python arguments; None there means "not given", and the ``key=value``
    pairs under ``set`` count as given. `as_flags` tells how messages name them: ``--lr`` or ``lr``.
    Raises `InputError` for an unknown or misspelt setting and for a value of the wrong type.

    >>> from hfkit.config import EvaluateConfig
    >>> resolve(EvaluateConfig, {"batch-size": "8"}, {"HFKIT_DEVICE": "cpu"}).batch_size
    8
    """
    variables = _environment_layer(cls, os.environ if environment is None else environment)
    flags = _given_layer(cls, given, as_flags)
    together = flags.over(variables)
    recipe_name = together.settings.get("config")
    if recipe_name is not None:
        together = together.over(_recipe_layer(cls, str(recipe_name)))
    settings = together.settings
    if "options" in cls.model_fields:
        settings["options"] = _typed_options(cls, settings.get("task"), together)
    elif together.options:
        name = next(iter(together.options))
        raise _unknown(cls, name, together.places[name])
    return checked(cls, settings, together.places)


def checked(
    model: type[M], values: Mapping[str, Any], places: Mapping[str, str] | None = None
) -> M:
    """Make a pydantic model of `values`; raise a one-line `InputError` for the first that is wrong.

    >>> from hfkit.tasks.options import ClassificationOptions
    >>> checked(ClassificationOptions, {"threshold": "0.3"}).threshold
    0.3
    >>> checked(ClassificationOptions, {"class_weights": "balance"})
    Traceback (most recent call last):
    hfkit.errors.InputError: class_weights: expected none or balanced, got 'balance'; did you mean \
'balanced'?
    """
    from pydantic import ValidationError

    places = places or {}
    for name in values:
        if name not in model.model_fields:
            hint = did_you_mean(name, model.model_fields)
            raise InputError("unknown setting", place=places.get(name, shown(name)), hint=hint)
    try:
        return model(**{name: _fitting(model, name, value) for name, value in values.items()})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        message, hint = what_is_wrong(first)
        raise InputError(message, place=places.get(name, name), hint=hint) from error


def dump(config: Section) -> str:
    """Return the settings as YAML that `resolve` reads back equal, grouped by section; a secret
    among them is left out."""
    values = config.model_dump()
    parts = []
    for title, names in sections(type(config)):
        kept = {name: values[name] for name in names if is_saved(type(config), name)}
        if kept:
            parts.append(f"# {title}\n{_as_yaml(kept)}")
    return redacted("\n".join(parts))


def _as_yaml(values: Mapping[str, Any]) -> str:
    import yaml

    class Dumper(yaml.SafeDumper):
        """Puts texts with unusual line breaks between double quotes, where they are escaped; in
        single quotes PyYAML writes them as they are, and reads them as a blank."""

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
        style = '"' if len(value.splitlines()) > 1 or value[-1:].isspace() else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style)

    Dumper.add_representer(str, text)
    return yaml.dump(values, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=10**9)


def sections(cls: type[Section]) -> Iterator[tuple[str, list[str]]]:
    """Yield the title and the settings of each section of a configuration, its own ones first."""
    inherited = [klass for klass in cls.__mro__[:0:-1] if issubclass(klass, Section)]
    for klass in [cls, *inherited]:
        names = [name for name in klass.__annotations__ if name in cls.model_fields]
        if names:
            title = (klass.__doc__ or klass.__name__).splitlines()[0]
            yield title.partition(";")[0].rstrip("."), names


def extra(cls: type[BaseModel], name: str) -> dict[str, Any]:
    """What `config.setting` notes about a setting: flags, changes_result, saved."""
    noted = cls.model_fields[name].json_schema_extra
    return dict(noted) if isinstance(noted, dict) else {}


def is_saved(cls: type[BaseModel], name: str) -> bool:
    """Tell whether a setting belongs in hfkit.yaml."""
    return bool(extra(cls, name).get("saved", True))


def flag(name: str) -> str:
    """The flag of a setting.

    >>> flag("batch_size"), flag("json_output")
    ('--batch-size', '--json')
    """
    return "--json" if name == "json_output" else f"--{name.replace('_', '-')}"


# Sources


def _given_layer(cls: type[Section], given: Mapping[str, Any], as_flags: bool) -> Layer:
    """Flags or Python arguments, and the pairs of ``--set``."""
    layer = Layer()
    for key, value in given.items():
        if value is not None and key != "set":
            _put(layer, cls, key, value, flag(_name(shown(key))) if as_flags else shown(key))
    pairs = given.get("set") or []
    for pair in [pairs] if isinstance(pairs, str) else pairs:
        key, equals, value = str(pair).partition("=")
        place = f"--set {shown(key)}" if as_flags else f"set {shown(key)}"
        if not equals:
            raise InputError(
                f"expected key=value, got {quoted(pair)}", place="--set" if as_flags else "set"
            )
        if _name(key) in layer.places:
            raise InputError(f"also given as {layer.places[_name(key)]}", place=place)
        _put(layer, cls, key, None if value == "null" else value, place)
    return layer


def _environment_layer(cls: type[Section], environment: Mapping[str, str]) -> Layer:
    """Variables ``HFKIT_<SETTING>``; an empty one is not given, another program's is left alone."""
    layer = Layer()
    known = {*cls.model_fields, *_task_options()} - {"set", "options"}
    for variable, value in environment.items():
        if not variable.startswith(PREFIX) or not value:
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name in known:
            _put(layer, cls, name, value, variable)
        elif not _only_another_knows(cls, name):
            close = nearest(name, known, 0.85)
            if close:  # else the variable is probably somebody else's
                meant = f"{PREFIX}{close.upper()}"
                logger.warning("%s: no such setting; did you mean '%s'?", variable, meant)
    return layer


def _recipe_layer(cls: type[Section], name: str) -> Layer:
    """A YAML file. What only another command knows is passed over, so that one file serves them
    all; and from a recipe for training the others take no model, no output, and no way to compute.
    """
    from hfkit.recipe import read_recipe

    recipe = read_recipe(name)
    layer = Layer()
    for_training = any(_only_another_knows(EvaluateConfig, _name(key)) for key in recipe.values)
    own = {*cls.__annotations__, *Computing.__annotations__, *Processes.__annotations__}
    for key, value in recipe.values.items():
        setting = _name(key)
        place = f"{recipe.place(key)}: {shown(key)}"
        if setting in layer.places:
            raise InputError("stands here a second time", place=place)
        foreign = for_training and cls is not FinetuneConfig and setting in own
        if not (foreign or setting in ABOUT_THE_RECIPE or _only_another_knows(cls, setting)):
            _put(layer, cls, key, value, place)
    return layer


def _put(layer: Layer, cls: type[Section], key: str, value: Any, place: str) -> None:
    """Note one value in a layer, as a setting or as an option of the task."""
    name = _name(key)
    value = os.fspath(value) if isinstance(value, os.PathLike) else value
    if name == "options":
        if not isinstance(value, Mapping):
            raise InputError("expected options of the task, as name: value", place=place)
        for option, content in value.items():
            layer.options[_name(str(option))] = content
            layer.places[_name(str(option))] = f"{place}.{option}"
        return
    (layer.settings if name in cls.model_fields else layer.options)[name] = value
    layer.places[name] = place


# Options of the task


def _task_options() -> dict[str, type[BaseModel]]:
    from hfkit.registry import builtin_options

    return builtin_options()


def _is_plugin(task: Any) -> bool:
    """Tell whether a task is named that is not built in; its options are checked by itself."""
    from hfkit.registry import TASKS, find_task

    return isinstance(task, str) and find_task(task)[0] not in TASKS


def _typed_options(cls: type[Section], task: Any, layers: Layer) -> dict[str, Any]:
    """Check the options of a built-in task; those of a plug-in stay as a file would give them."""
    if _is_plugin(task):
        return {name: _as_text(value) for name, value in layers.options.items()}
    known = _task_options()
    by_class: dict[type[BaseModel], dict[str, Any]] = {}
    for name, value in layers.options.items():
        if name not in known:
            raise _unknown(cls, name, layers.places[name])
        by_class.setdefault(known[name], {})[name] = value
    typed: dict[str, Any] = {}
    for model, values in by_class.items():
        options = checked(model, values, layers.places)
        typed.update({name: getattr(options, name) for name in values})
    return typed


def _as_text(value: Any) -> Any:
    """Plain data with every scalar as text, the way a recipe gives it.

    >>> _as_text({"depth": 2, "keep": True, "names": ["a", None]})
    {'depth': '2', 'keep': 'true', 'names': ['a', None]}
    """
    if isinstance(value, Mapping):
        return {str(key): _as_text(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_as_text(child) for child in value]
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None else str(value)


# Names and messages


def _name(key: str) -> str:
    return key.replace("-", "_")


def verb_name(cls: type[Section]) -> str:
    """The command that a configuration is for.

    >>> verb_name(FinetuneConfig)
    'finetune'
    """
    return cls.__name__.removesuffix("Config").lower()


def _only_another_knows(cls: type[Section], name: str) -> bool:
    if name in cls.model_fields or name in _task_options():
        return False
    return any(name in other.model_fields for other in CONFIGS)


def _unknown(cls: type[Section], key: str, place: str) -> InputError:
    """The error for a setting nobody knows; other tools' spellings lead to hfkit's own name."""
    known = {name: name for name in [*cls.model_fields, *_task_options()]}
    for name in cls.model_fields:
        spellings = [text for text in extra(cls, name).get("flags", []) if text.startswith("--")]
        known.update({_name(text.removeprefix("--")): name for text in spellings})
    name = _name(key)
    owners = [verb_name(other) for other in CONFIGS if name in other.model_fields]
    if name in known:
        hint = f"did you mean '{known[name]}'?"
    elif owners:
        hint = f"it belongs to hfkit {few(owners)}"
    else:
        hint = did_you_mean(name, known)
        if not hint.startswith("did you mean"):
            hint = "`hfkit config schema` lists all settings"
    return InputError("unknown setting", place=place, hint=hint)


def _fitting(model: type[BaseModel], name: str, value: Any) -> Any:
    """A single text for a setting that is a list stands for a list of one."""
    one_text = isinstance(value, str) and model.model_fields[name].annotation == list[str]
    return [value] if one_text else value
