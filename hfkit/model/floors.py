"""The oldest torch and transformers that a model may be given to.

Before them files of a model could run code in spite of every switch:

    torch          < 2.10  CVE-2026-24747, memory corruption under weights_only
    transformers   < 5.3   CVE-2026-4372, a field of config.json fetches code from the Hub

An environment can hold older ones than hfkit's requirements allow, so loading asks again. And where
the package `kernels` is installed, transformers can fetch compiled code from the Hub with it.
"""

from __future__ import annotations

import logging
import re
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from hfkit.errors import SafetyError

log = logging.getLogger(__name__)

FLOORS = {"torch": (2, 10), "transformers": (5, 3)}


def check_libraries() -> None:
    """Raise `SafetyError` where a library is older than its floor, and warn of `kernels`."""
    for package, floor in FLOORS.items():
        try:
            found = version(package)
        except PackageNotFoundError:  # built here, without its metadata; its import will tell
            continue
        if parts(found) < floor:
            wanted = ".".join(map(str, floor))
            raise SafetyError(
                f"{package} {found} has a hole through which a model can run code",
                hint=f"pip install '{package}>={wanted}'",
            )
    if find_spec("kernels") is not None:
        log.warning(
            "the package `kernels` is installed: with it transformers can fetch code from the Hub; "
            "hfkit needs it for nothing"
        )


def parts(stated: str) -> tuple[int, ...]:
    """The first two numbers of a version.

    >>> parts("2.13.0+cpu"), parts("5.0.0rc3")
    ((2, 13), (5, 0))
    """
    return tuple(int(number) for number in re.findall(r"\d+", stated)[:2])
