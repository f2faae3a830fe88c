"""Class names that a data set of the `datasets` library carries: numbers become their names.

The same description stands in the features of a Hub data set and in the metadata of the Parquet
files it writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hfkit.data.record import Fields


def class_names(features: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return column -> names, for columns that hold a class or a list of classes.

    >>> class_names({"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}, "text": {}})
    {'label': ['neg', 'pos']}
    """
    found: dict[str, list[str]] = {}
    for column, feature in features.items():
        inner = feature.get("feature", feature) if isinstance(feature, Mapping) else feature
        if isinstance(inner, list) and inner:
            inner = inner[0]
        if isinstance(inner, Mapping) and inner.get("_type") == "ClassLabel":
            found[column] = list(inner.get("names") or [])
    return found


def with_names(fields: Fields, names: Mapping[str, list[str]]) -> Fields:
    """Return the fields with class numbers replaced; -1, the mark of no label, becomes None."""
    if not names:
        return fields
    return {
        column: _named(value, names[column]) if column in names else value
        for column, value in fields.items()
    }


def _named(value: Any, names: list[str]) -> Any:
    if isinstance(value, (list, tuple)):
        return [_named(item, names) for item in value]
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    if value == -1:
        return None
    return names[value] if 0 <= value < len(names) else value
