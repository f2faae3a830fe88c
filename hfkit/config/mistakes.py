"""How a value of the wrong kind is told: what was expected and what was found, on one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hfkit.errors import did_you_mean

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

SHOWN_CHARACTERS = 40  # of a value in a message: the rest may be somebody's text
EXPECTED = {
    "float": "a number",
    "finite_number": "a finite number",
    "int": "a whole number",
    "bool": "true or false",
    "string": "text",
    "list": "a list",
    "dict": "names with values",
}


def what_is_wrong(error: ErrorDetails) -> tuple[str, str]:
    """Say in one line what was expected and what was found; and a hint, for choices."""
    kind, context, found = error["type"], error.get("ctx", {}), quoted(error["input"])
    if kind == "literal_error":
        expected = str(context["expected"]).replace("'", "")
        choices = expected.replace(" or ", ", ").split(", ")
        hint = did_you_mean(str(error["input"]), choices)
        suggestion = hint if hint.startswith("did you mean") else ""
        return f"expected {expected}, got {found}", suggestion
    if kind == "value_error":
        return f"{context.get('error', error['msg'])}", ""
    if kind == "missing":
        return "is needed and was not given", ""
    limits = {
        "greater_than": "gt",
        "greater_than_equal": "ge",
        "less_than": "lt",
        "less_than_equal": "le",
    }
    if kind in limits:
        words = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}
        limit = limits[kind]
        return f"expected a number of {words[limit]} {context[limit]:g}, got {found}", ""
    for start, expected in EXPECTED.items():
        if kind.startswith(start):
            return f"expected {expected}, got {found}", ""
    return f"{error['msg'][:1].lower()}{error['msg'][1:]}, got {found}", ""


def shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def quoted(value: Any) -> str:
    return "nothing" if value is None else f"'{shown(value)}'"
