"""hfkit: fine-tune, evaluate and predict with Hugging Face models.

Every public name is imported on first use (PEP 562), so that ``import hfkit`` costs nothing; what
is not in `__all__` may change without notice. Importing hfkit turns off the usage reports of the
libraries below it and says how long waiting threads look before they sleep, unless the user's
environment does.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hfkit.api import (
        audit,
        bench,
        calibrate,
        check,
        compare,
        convert,
        embed,
        estimate,
        evaluate,
        explain,
        export,
        finetune,
        predict,
        push,
        report,
        score,
        search,
        train_tokenizer,
        verify,
    )
    from hfkit.commands.load import load
    from hfkit.errors import (
        DivergedError,
        HfkitError,
        InputError,
        InUseError,
        NetworkError,
        ResourceError,
        SafetyError,
        StoppedError,
    )

__version__ = "0.1.0"

__all__ = [
    "DivergedError",
    "HfkitError",
    "InUseError",
    "InputError",
    "NetworkError",
    "ResourceError",
    "SafetyError",
    "StoppedError",
    "__version__",
    "audit",
    "bench",
    "calibrate",
    "check",
    "compare",
    "convert",
    "embed",
    "estimate",
    "evaluate",
    "explain",
    "export",
    "finetune",
    "load",
    "predict",
    "push",
    "report",
    "score",
    "search",
    "train_tokenizer",
    "verify",
]

_HOMES = {
    "audit": "hfkit.api",
    "bench": "hfkit.api",
    "calibrate": "hfkit.api",
    "check": "hfkit.api",
    "compare": "hfkit.api",
    "convert": "hfkit.api",
    "embed": "hfkit.api",
    "estimate": "hfkit.api",
    "evaluate": "hfkit.api",
    "explain": "hfkit.api",
    "export": "hfkit.api",
    "finetune": "hfkit.api",
    "predict": "hfkit.api",
    "report": "hfkit.api",
    "push": "hfkit.api",
    "score": "hfkit.api",
    "search": "hfkit.api",
    "train_tokenizer": "hfkit.api",
    "verify": "hfkit.api",
    "load": "hfkit.commands.load",
}

NO_REPORTS = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_UPDATE_DOWNLOAD_COUNTS": "0",  # `datasets` counts even the reading of a local file
    "DO_NOT_TRACK": "1",
}
# transformers fetches and runs kernels of the Hub where the package `kernels` is installed.
NO_FOREIGN_CODE = {"USE_HUB_KERNELS": "0"}
# Threads of torch that wait for one another look for some 70 µs and then sleep (where OpenMP is not
# GNU's they sleep at once). A training step on two threads was measured to take a quarter less time
# than where they look for 10 µs, and up to a sixth more than where they look on; beside another
# busy process a fifth more, and half as long. docs/performance.md has the figures.
WAITING_THREADS = {"GOMP_SPINCOUNT": "4000", "OMP_WAIT_POLICY": "PASSIVE"}
_settings = {**NO_REPORTS, **NO_FOREIGN_CODE}
if not WAITING_THREADS.keys() & os.environ.keys():
    _settings.update(WAITING_THREADS)
for _variable, _value in _settings.items():
    os.environ.setdefault(_variable, _value)


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'hfkit' has no attribute {name!r}")
    from importlib import import_module

    found = getattr(import_module(_HOMES.get(name, "hfkit.errors")), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
