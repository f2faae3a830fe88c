"""Imports of libraries that would bring along what reports to others, or fetches code of others."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from hfkit.errors import InputError


@contextmanager
def without(package: str) -> Iterator[None]:
    """Let what is imported in this block find `package` not installed."""
    modules: dict[str, Any] = sys.modules
    kept = {name: modules[name] for name in modules if name.split(".")[0] == package}
    modules[package] = None  # an import of it fails
    try:
        yield
    finally:
        del modules[package]
        modules.update(kept)


def import_openvino() -> Any:
    """Import openvino so that it sends nothing and writes nothing.

    By itself it tells its makers of its use through `openvino_telemetry`, which it brings along and
    which asks nobody: an event to Google Analytics, and a file in the user's home. Where that
    package is not there it puts a stub in its place. Raises `InputError` where openvino is not
    installed. An openvino that somebody else has imported before is given as it is.
    """
    try:
        with without("openvino_telemetry"):
            return import_module("openvino")
    except ImportError as error:
        raise InputError(
            "openvino is not installed", place="--engine", hint="pip install 'hfkit[openvino]'"
        ) from error
