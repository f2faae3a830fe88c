"""`hfkit config`: what the settings of a training are, and what they come to together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hfkit.config import FinetuneConfig, Section
from hfkit.layers import ABOUT_THE_RECIPE, dump, is_saved, resolve
from hfkit.registry import builtin_options

NOTES = ("flags", "changes_result", "saved")  # hfkit's own notes on a setting


def show(given: Mapping[str, Any]) -> str:
    """Return the settings of `finetune` as they come out of all layers, as YAML."""
    return dump(resolve(FinetuneConfig, given))


def schema() -> dict[str, Any]:
    """Return the JSON schema of a recipe: all settings, and the options of the built-in tasks."""
    properties = _properties(FinetuneConfig)
    for model in set(builtin_options().values()):
        properties.update(_properties(model))
    properties |= {name: {"description": "Ignored by hfkit"} for name in sorted(ABOUT_THE_RECIPE)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "hfkit recipe",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


def _properties(model: type[Any]) -> dict[str, Any]:
    """The schema of each setting that a file may hold."""
    assert_section: type[Section] = model
    found = assert_section.model_json_schema()["properties"]
    return {
        name: {key: value for key, value in content.items() if key not in NOTES}
        for name, content in found.items()
        if is_saved(model, name)
    }
