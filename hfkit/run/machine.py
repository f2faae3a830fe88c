"""The machine and the versions that a measured figure belongs to. Imports nothing heavy."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from hfkit.processor import logical_cores, this_processor

PACKAGES = (
    "hfkit", "torch", "transformers", "tokenizers", "accelerate", "sentence-transformers",
    "onnxruntime", "openvino", "numpy",
)  # fmt: skip


def machine() -> dict[str, Any]:
    """Return the processor, the cores that this process may use, and versions of what computes."""
    return {
        "processor": this_processor().name or platform.processor() or platform.machine(),
        "cores": logical_cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
