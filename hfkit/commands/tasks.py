"""`hfkit tasks`: what can be learnt, from the rows of the registry; no task is imported."""

from __future__ import annotations

from typing import Any

from hfkit.registry import TASKS, load_object, plugins


def tasks() -> list[dict[str, Any]]:
    """Return one plain dict per task: name, summary, aliases, columns, options; plug-ins last,
    known by name and target alone until they are used."""
    found: list[dict[str, Any]] = []
    for name, entry in TASKS.items():
        options = load_object(entry.options).model_fields if entry.options else {}
        found.append(
            {
                "name": name,
                "summary": entry.summary,
                "aliases": list(entry.aliases),
                "columns": dict(entry.columns),
                "options": {
                    option: {"help": field.description, "default": field.default}
                    for option, field in options.items()
                },
            }
        )
    return found + [
        {"name": name, "summary": f"plug-in {target}", "aliases": [], "columns": {}, "options": {}}
        for name, target in sorted(plugins("hfkit.tasks").items())
    ]
