"""Tokenizers of the library `tokenizers`, and in one line what goes wrong as one is loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hfkit import culprit
from hfkit.errors import InputError
from hfkit.panics import is_panic, swallowed
from hfkit.remarks import remarked


def read_backend(folder: Path) -> Any:
    """Load the tokenizer.json in `folder` as it is. Raises `InputError` where that fails."""
    from tokenizers import Tokenizer as Backend

    with loading(folder, culprit.in_tokenizer):
        backend = Backend.from_file(str(folder / "tokenizer.json"))
        try_out(backend)
    return backend


@contextmanager
def loading(folder: Path, *blamed: Callable[[Path], InputError | None]) -> Iterator[None]:
    """Turn what is raised over a broken tokenizer into one line, that of the first file which is
    `blamed`: the library raises `Exception` itself, each family of transformers has its own way to
    fail, and Rust may give up."""
    try:
        with swallowed(), remarked(str(folder)):
            yield
    except BaseException as error:
        if not isinstance(error, Exception) and not is_panic(error):
            raise
        for blame in blamed:
            if (found := blame(folder)) is not None:
                raise found from error
        reason = culprit.reason_of(error)
        raise InputError(f"{culprit.NO_TOKENIZER} ({reason})", place=str(folder)) from error


def try_out(backend: Any) -> None:
    """Encode a letter: what Rust gives up on at any text is found here. A tokenizer that does not
    know just this letter may be a good one."""
    with suppress(Exception):
        backend.encode("a")
