"""How often Python looks for garbage: seldom while a command starts.

Modules live as long as the process. To look for garbage among their objects whenever 700 more have
come took an eighth of the time that torch and transformers are imported in. As soon as there is
something that answers or learns, it is looked for as usual: a cycle may then hold tensors. What
needs no model goes on so to its end. Only where the process is the command line.
"""

from __future__ import annotations

import gc

SELDOM = (20_000, 50, 1000)

_before: tuple[int, int, int] | None = None


def seldom() -> None:
    """Look for garbage seldom from now on."""
    global _before
    _before = gc.get_threshold()
    gc.set_threshold(*SELDOM)


def usual() -> None:
    """Look for it as often as before `seldom`."""
    global _before
    if _before is not None:
        gc.set_threshold(*_before)
        _before = None
