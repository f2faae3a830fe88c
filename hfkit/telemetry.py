"""openvino, without what reports its use.

`import openvino` tells its makers so through the package `openvino_telemetry`, which it brings
along and which asks nobody: an event to Google Analytics, and a file in the user's home. Where that
package cannot be imported, openvino puts a stub of its own in its place.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from hfkit.errors import InputError

REPORTS = "openvino_telemetry"


def import_openvino() -> Any:
    """Import openvino so that it sends nothing and writes nothing.

    Raises `InputError` where it is not installed. An openvino that somebody else has imported
    before is given as it is.
    """
    modules: dict[str, Any] = sys.modules
    kept = {name: modules[name] for name in modules if name.split(".")[0] == REPORTS}
    modules[REPORTS] = None  # an import of it fails
    try:
        return import_module("openvino")
    except ImportError as error:
        raise InputError(
            "openvino is not installed", place="--engine", hint="pip install 'hfkit[openvino]'"
        ) from error
    finally:
        del modules[REPORTS]
        modules.update(kept)
