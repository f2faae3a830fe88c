"""`hfkit env`: what a bug report needs to say about the machine and the installed versions."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from hfkit.processor import logical_cores, this_processor

PACKAGES = (
    "hfkit",
    "torch",
    "transformers",
    "tokenizers",
    "accelerate",
    "datasets",
    "evaluate",
    "safetensors",
    "numpy",
    "scikit-learn",
    "scipy",
    "pyarrow",
    "pydantic",
    "typer",
)


def env() -> dict[str, Any]:
    """Return versions, machine and devices. Only the devices need torch, which takes seconds."""
    return {
        "versions": {package: installed(package) for package in PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": this_processor().name or platform.processor() or platform.machine(),
        "cpus": logical_cores(),
        "devices": devices(),
        "environment": {
            name: value
            for name, value in sorted(os.environ.items())
            if name in ("HF_HUB_OFFLINE", "HF_HOME", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")
        },
    }


def installed(package: str) -> str:
    """The version of a package, without importing it."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def devices() -> list[str]:
    """The devices that torch can compute on, by name."""
    try:
        import torch
    except ImportError:
        return []
    found = ["cpu"]
    if torch.cuda.is_available():
        found += [
            f"cuda:{i} {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())
        ]
    if torch.backends.mps.is_available():
        found.append("mps")
    return found
