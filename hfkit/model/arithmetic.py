"""How torch multiplies matrices on this processor, and with how many threads."""

from __future__ import annotations

import ctypes
import logging
import platform
import re
from collections.abc import Mapping
from mmap import PAGESIZE
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hfkit.processor import cores, kernels_for, this_processor

if TYPE_CHECKING:
    from torch import Tensor

    from hfkit.config import Kernels

log = logging.getLogger(__name__)

# Relative to the largest product. fp32 has 1e-7 and bf16 4e-3 for sums of this length.
ACCURATE = 1e-5


# glibc's mallopt: blocks above the first are handed back to the system when freed, and the free top
# of the heap above the second. By default a large tensor is fresh zeroed memory each time it is
# made, which cost a tenth of a training step.
MMAP_THRESHOLD, TRIM_THRESHOLD, ARENAS, KEPT = -3, -1, -8, 2**30

# By default each thread has a heap of its own, and each keeps what the largest batches have taken:
# with two threads a prediction of 3,000 rows took 768 MiB instead of 659. (Blocks of tensors handed
# back at once, by a low first bound, save another 100 MiB and cost 40 % more processor time.)
FEW = 8  # threads that one heap serves without their waiting for each other

MADV_DONTNEED = 4
MAPS = Path("/proc/self/smaps")  # what lies where in this process, and how much of it has changed
MAPPED = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ (\d+).*\n((?:[A-Z].*\n)*)", re.MULTILINE)
CHANGED = re.compile(r"^(?:Anonymous|Swap): +(\d+) kB$", re.MULTILINE)


def set_arithmetic(kernels: Kernels, threads: int | None) -> None:
    """Choose the kernels of fp32 matrices and the number of threads, for the whole process.

    "auto" goes by the processor's family. The switch that leads to oneDNN also permits bf16; where
    a product shows that the processor makes use of it, the default kernels stay, which is said.
    """
    import torch

    wanted = threads or cores()
    if torch.get_num_threads() != wanted:
        torch.set_num_threads(wanted)
    one_dnn: Any = torch.backends.mkldnn
    if not one_dnn.is_available():
        return
    chosen = kernels_for(this_processor()) if kernels == "auto" else kernels
    one_dnn.matmul.fp32_precision = "bf16" if chosen == "onednn" else "none"
    if chosen == "onednn" and not is_accurate():
        one_dnn.matmul.fp32_precision = "none"
        log.warning("oneDNN rounds fp32 products to bf16 on this processor; using the default")


def keep_memory() -> None:
    """Let the process keep the memory of tensors for the next ones, where it runs on glibc.

    For training: a prediction of many shapes would grow by half a gigabyte.
    """
    _set_memory({MMAP_THRESHOLD: KEPT, TRIM_THRESHOLD: KEPT})


def share_memory(threads: int) -> None:
    """Let few threads take memory from one heap, where the process runs on glibc.

    For prediction; has to come before the threads are started.
    """
    if threads <= FEW:
        _set_memory({ARENAS: 1})


def _set_memory(settings: Mapping[int, int]) -> None:
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        for name, value in settings.items():
            library.mallopt(name, value)


class Files:
    """What the process has mapped of files and not changed, as Linux says; else nothing.

    Weights are views of their file. What of it was read counts as memory of the process, until all
    of them are gone.
    """

    def __init__(self) -> None:
        self.parts: list[tuple[int, int]] = []
        try:
            maps = MAPS.read_text("utf-8", errors="replace")
        except OSError:
            return
        for start, end, inode, rest in MAPPED.findall(maps):
            if inode != "0" and CHANGED.findall(rest) == ["0", "0"]:
                self.parts.append((int(start, 16), int(end, 16)))

    def give_back(self, tensor: Tensor) -> int:
        """Let the process forget a tensor that lies in a file; return how many bytes.

        Nothing is lost: they stay in the system's cache of files, and come back when they are read.
        """
        first = -(-tensor.data_ptr() // PAGESIZE) * PAGESIZE
        last = (tensor.data_ptr() + tensor.nbytes) // PAGESIZE * PAGESIZE
        if last <= first or not any(start <= first and last <= end for start, end in self.parts):
            return 0
        address, size = ctypes.c_void_p(first), ctypes.c_size_t(last - first)
        failed = ctypes.CDLL(None).madvise(address, size, MADV_DONTNEED)
        return 0 if failed else last - first


def is_accurate() -> bool:
    """Whether a product of fp32 matrices has the accuracy of fp32."""
    import torch

    generator = torch.Generator().manual_seed(0)
    one = torch.rand(64, 512, generator=generator)
    other = torch.rand(512, 64, generator=generator)
    exact = one.double() @ other.double()
    found = torch.nn.functional.linear(one, other.t().contiguous()).double()
    return float((found - exact).abs().max() / exact.abs().max()) < ACCURATE
