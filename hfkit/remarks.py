"""What libraries say in Python's warnings while they load a user's files, as notes of our own."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)


@contextmanager
def remarked(place: str) -> Iterator[None]:
    """Turn each `UserWarning` inside into a note about `place`; other kinds are for programmers."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        yield
    for text in dict.fromkeys(str(one.message) for one in found):
        log.info("%s: %s", place, " ".join(text.split()))
