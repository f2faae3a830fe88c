"""How a value from a user's file is shown in a message: on one line, cut, nothing invisible."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

LONGEST = 40
MOST = 12


def shown(value: object) -> str:
    r"""Return a value as it may stand in a message: quoted, escaped, at most 40 characters of it.

    >>> shown("two\nlines")
    "'two\\nlines'"
    """
    text = value if isinstance(value, str) else str(value)
    return repr(text if len(text) <= LONGEST else text[: LONGEST - 1] + "…")


def whole(number: int) -> str:
    """Return a whole number as it may stand in a message: as it is, at most 40 digits of it.

    >>> whole(-12), len(whole(10**1000))
    ('-12', 40)
    """
    text = str(number)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def listed(names: Iterable[object]) -> str:
    """Return the first names, quoted and separated by commas.

    >>> listed(["text", "label"])
    "'text', 'label'"
    """
    rest = iter(names)
    text = ", ".join(shown(name) for name in islice(rest, MOST))
    return f"{text}, …" if next(rest, None) is not None else text


def kind_of(value: object) -> str:
    """Return what a value is, in the words of JSON.

    >>> kind_of(None), kind_of([1]), kind_of(3)
    ('null', 'a list', 'a number')
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, (list, tuple)) else "an object"
