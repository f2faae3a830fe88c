"""The processor: what it is, and which arithmetic is known to suit it. Needs no torch.

A table, not a measurement: two starts of one command must compute the same. Measured on an AMD
processor of family 26 (Zen 5), `docs/performance.md`: torch's default library for matrices in fp32,
MKL, reached 100 GFLOP/s per core, oneDNN 210 to 250 with the same accuracy.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from hfkit.config import Kernels, Precision

CPUINFO = Path("/proc/cpuinfo")
SIBLINGS = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"


@dataclass(frozen=True)
class Processor:
    """A processor by maker, family and abilities, as Linux names them."""

    vendor: str = ""
    family: int = 0
    flags: frozenset[str] = frozenset()
    name: str = ""

    @property
    def has_bf16(self) -> bool:
        """Whether it multiplies bf16 numbers natively."""
        return bool(self.flags & {"avx512_bf16", "amx_bf16"})


def parsed(cpuinfo: str) -> Processor:
    """Read what Linux says of its first processor.

    >>> parsed("vendor_id : AuthenticAMD\\ncpu family : 26\\nflags : fma avx512f\\n\\n").family
    26
    """
    lines = cpuinfo.split("\n\n")[0].splitlines()
    pairs = [line.partition(":")[::2] for line in lines]
    values = {name.strip(): value.strip() for name, value in pairs}
    family = values.get("cpu family", "")
    return Processor(
        values.get("vendor_id", ""),
        int(family) if family.isdigit() else 0,
        frozenset(values.get("flags", "").split()),
        values.get("model name", ""),
    )


NO_BUFFERS = {"MKL_DISABLE_FAST_MM": "1"}


def without_buffers() -> None:
    """Let MKL give back the memory of each product; has to come before torch is imported.

    For prediction, though it holds for the whole process. By default each thread keeps a buffer for
    each size that it meets.
    """
    for name, value in NO_BUFFERS.items():
        os.environ.setdefault(name, value)


@cache
def this_processor() -> Processor:
    """The processor of this machine; one without a name where the system does not say."""
    try:
        return parsed(CPUINFO.read_text("utf-8"))
    except OSError:
        return Processor()


def kernels_for(processor: Processor) -> Literal["default", "onednn"]:
    """What multiplies fp32 matrices best on a processor.

    On AMD's with AVX-512, MKL takes an older path and oneDNN the new one. Intel's with AMX might
    take the switch that leads to oneDNN for a leave to compute in bf16.

    >>> kernels_for(Processor("AuthenticAMD", 26, frozenset({"avx512f"})))
    'onednn'
    >>> kernels_for(Processor("GenuineIntel", 6, frozenset({"avx512f", "amx_bf16"})))
    'default'
    """
    return (
        "onednn"
        if processor.vendor == "AuthenticAMD" and "avx512f" in processor.flags
        else ("default")
    )


def lays_out(kernels: Kernels, processor: Processor) -> bool:
    """Whether a prediction in fp32 lays its weights out for oneDNN (where that proves to be fp32).

    Measured where there is AVX-512: a tenth faster than MKL on Intel's, more on AMD's.

    >>> lays_out("auto", Processor("GenuineIntel", 6, frozenset({"avx512f", "amx_bf16"})))
    True
    """
    return kernels == "onednn" or (kernels == "auto" and "avx512f" in processor.flags)


def precision_for(processor: Processor) -> Precision:
    """What to train in on a processor."""
    return "bf16" if processor.has_bf16 else "fp32"


def has_accelerator() -> bool:
    """Whether there may be a GPU: then torch has to be asked what it computes in."""
    if platform.system() == "Darwin":
        return platform.machine() == "arm64"
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return False
    return any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/kfd").exists()


def cores() -> int:
    """Physical cores that this process may use, or as many threads as ``OMP_NUM_THREADS`` says."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdecimal() and len(wanted) < 10 and int(wanted):
        return int(wanted)
    if not hasattr(os, "sched_getaffinity"):
        return max(1, logical_cores() // 2)
    allowed = os.sched_getaffinity(0)
    try:
        return len({Path(SIBLINGS.format(number)).read_text("ascii") for number in allowed})
    except OSError:
        return len(allowed)


def logical_cores() -> int:
    """What this process may run on at once; two for a core that has two threads."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
