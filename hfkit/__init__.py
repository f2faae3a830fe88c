"""hfkit: fine-tune, evaluate and predict with Hugging Face models.

Every public name is imported on first use (PEP 562), so that ``import hfkit`` costs nothing; what
is not in `__all__` may change without notice. Importing hfkit turns off the usage reports of the
libraries below it and lets idle threads sleep soon, unless the user's environment says otherwise.
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
SLEEP_SOON, SLEEP_LATE = 500, 20_000  # looks before a waiting thread sleeps: 10 µs and 300


def waiting_threads(cores: int, others: int | None) -> dict[str, str]:
    """How threads of torch wait for one another (where OpenMP is not GNU's they sleep at once).

    Looking again and again takes nothing from anybody while cores are idle, and a training step on
    two threads was measured to take a quarter less time than where they soon sleep. Where `others`
    run on more than an eighth of the cores, or nobody knows, it takes twice as long, and so they
    sleep soon.

    >>> waiting_threads(cores=2, others=0)["GOMP_SPINCOUNT"]
    '20000'
    >>> waiting_threads(cores=2, others=1)["GOMP_SPINCOUNT"]
    '500'
    """
    idle = others is not None and 8 * others <= cores
    looks = SLEEP_LATE if idle else SLEEP_SOON
    return {"GOMP_SPINCOUNT": str(looks), "OMP_WAIT_POLICY": "PASSIVE"}


def _others() -> int | None:
    """Threads on this machine that run at this moment beside this one, where the system says."""
    try:
        with open("/proc/loadavg", encoding="ascii") as file:  # noqa: PTH123 - pathlib takes time
            return max(0, int(file.read().split()[3].split("/")[0]) - 1)
    except (OSError, ValueError, IndexError):
        return None


_settings = {**NO_REPORTS, **NO_FOREIGN_CODE}
_waiting = waiting_threads(os.cpu_count() or 1, _others())
if not _waiting.keys() & os.environ.keys():
    _settings.update(_waiting)
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
