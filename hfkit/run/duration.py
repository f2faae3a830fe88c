"""Times as people type them."""

from __future__ import annotations

from hfkit.errors import InputError


def seconds(duration: str) -> float:
    """Read a time such as 90, 90s, 45m or 2h; raise `InputError` for anything else.

    >>> seconds("45m"), seconds("90")
    (2700.0, 90.0)
    """
    units = {"s": 1, "m": 60, "h": 3600}
    number, unit = (duration[:-1], duration[-1]) if duration[-1:] in units else (duration, "s")
    try:
        value = float(number) * units[unit]
    except ValueError:
        value = -1
    if not 0 < value < float("inf"):
        raise InputError(
            f"expected a time such as 90s, 45m or 2h, got {duration}", place="--max-time"
        )
    return value
