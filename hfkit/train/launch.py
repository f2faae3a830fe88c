"""Several processes: starting them, knowing one's place among them, ending them in good order.

`relaunch` starts the same command N times under PyTorch's own launcher, which ``torchrun`` uses
too. Each of these workers must leave through `finish`, because the launcher ends all workers as
soon as one fails, and forgets which exit code it failed with.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from hfkit.errors import INTERNAL_ERROR, InputError, LostError
from hfkit.processor import cores
from hfkit.signals import SIGNALS, let_die

if TYPE_CHECKING:
    from accelerate import Accelerator

    from hfkit.config import Device, Precision, Training

_EXIT_FILE = "HFKIT_EXIT_FILE"
_TOGETHER = frozenset({0, 75, 130, 143})  # all workers end this way, at the same step
_GRACE = 5.0  # seconds a failed worker leaves another one to say what is wrong
_SAVING = 3600  # seconds workers may take after a signal to finish their step and save
# What a process sees of another one that was killed, by the library that joins them.
_LOST_PEER = ("connection closed by peer", "connection reset by peer", "remote process exited",
              "socket closed", "broken pipe")  # fmt: skip


def inside() -> bool:
    """Whether this process is one of several, started by `relaunch`, torchrun or the like."""
    return world()[2] > 1


def world() -> tuple[int, int, int]:
    """Return ``(rank, rank on this machine, number of processes)``, without importing torch."""
    names = ("RANK", "LOCAL_RANK", "WORLD_SIZE")
    rank, local_rank, size = (_number(os.environ.get(name, "")) for name in names)
    return rank, local_rank, max(size, 1)


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def has_parent() -> bool:
    """Whether `relaunch` started this process, so that another one speaks for the run."""
    return _EXIT_FILE in os.environ and inside()


def is_lost_peer(error: BaseException) -> bool:
    """Whether an error says no more than that another process of this run is gone."""
    words = str(error).lower()
    return inside() and isinstance(error, RuntimeError) and any(w in words for w in _LOST_PEER)


def relaunch(num_processes: int, argv: Sequence[str], module: str = "hfkit") -> int:
    """Run ``python -m module *argv`` in `num_processes` processes and return its exit code.

    Output and errors of the workers go where ours go. SIGINT and SIGTERM reach each worker once,
    and the exit code is the one that the first worker gave to `finish`. Raises `LostError` where a
    worker was killed, or ended without it.
    """
    from torch.distributed.elastic.agent.server import api as agent
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    from hfkit.train import meeting

    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=num_processes,
        run_id=f"hfkit-{os.getpid()}",
        rdzv_backend=meeting.register(),
        local_addr=meeting.HERE,
        max_restarts=0,
        signals_to_handle="SIGINT,SIGTERM",
        shutdown_timeout=_SAVING,
    )
    # For records that nobody keeps here it would ask a name server for this machine's own name.
    vars(agent)["_get_fq_hostname"] = lambda: "localhost"
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    logging.disable(logging.CRITICAL)  # the launcher would repeat what its workers have said
    try:
        with TemporaryDirectory(prefix="hfkit-") as folder:
            said = Path(folder) / "exit-code"
            code = 0
            try:
                with _environment(num_processes, said):
                    elastic_launch(config, sys.executable)("-m", module, *argv)
            except ChildFailedError as error:
                code = error.get_first_failure()[1].exitcode
            except SignalException as stopped:
                code = -stopped.sigval
            return _exit_code(said, code)
    finally:
        logging.disable(logging.NOTSET)
        for number, handler in handlers.items():  # the launcher leaves its own behind
            if handler is not None:
                signal.signal(number, handler)


def check_sharding(settings: Training) -> None:
    """Refuse the settings that ``--fsdp`` cannot do. Raises `InputError`."""
    wrong = {
        "one process has nothing to share": settings.num_processes == 1,
        "not with --micro-batch auto: all processes compute together":
            settings.micro_batch == "auto",
        "not with --optim adafactor, which needs whole matrices": settings.optim == "adafactor",
        "not with --optim adamw8bit, whose scales are of whole matrices":
            settings.optim == "adamw8bit",
        "not with --precision fp16, which needs one scale": settings.precision == "fp16",
    }  # fmt: skip
    for message, found in wrong.items():
        if settings.fsdp and found:
            hint = "add --num-processes N" if settings.num_processes == 1 else "change one of them"
            raise InputError(message, place="--fsdp", hint=hint)


def check_optimizer(settings: Training) -> None:
    """Refuse an optimizer whose library is not installed. Raises `InputError`."""
    if settings.optim == "adamw8bit" and find_spec("bitsandbytes") is None:
        raise InputError("bitsandbytes is not installed", place="--optim",
                         hint="pip install 'hfkit[eightbit]', or use --optim adamw")  # fmt: skip


def finish(code: int, speak: Callable[[], None]) -> int:
    """Say how this process ends, and return the status that it is to end with.

    Alone, it speaks and returns `code`. Among several, only the first to end speaks; its code is
    what `relaunch` returns.
    """
    said = os.environ.get(_EXIT_FILE)
    if said is None or not inside():
        speak()
        return code
    if code == LostError.exit_code:  # what ended the other one is for it or for the parent to say
        let_die()
        time.sleep(_GRACE)
        return code
    try:
        with Path(said).open("x", encoding="ascii") as file:
            file.write(str(code))
    except FileExistsError:
        if code not in _TOGETHER:
            let_die()
            time.sleep(_GRACE)
    else:
        speak()
    return 0 if code in _TOGETHER else code


def make_accelerator(device: Device, precision: Precision, num_processes: int) -> Accelerator:
    """Return the Accelerator for a device, a precision and the processes asked for.

    Precision "auto" is bf16 on NVIDIA GPUs that compute in it and fp32 elsewhere. Raises
    `InputError` for a device that is not there, for fp16 on a CPU, and where the number of
    processes is not `num_processes`.
    """
    import torch
    from accelerate import Accelerator, DistributedDataParallelKwargs
    from accelerate.state import AcceleratorState

    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if (device == "cuda" and not cuda) or (device == "mps" and not mps):
        raise InputError(f"no {device} device here", place="--device", hint="use --device auto")
    on_cpu = device == "cpu" or not (cuda or mps)
    if precision == "fp16" and on_cpu:
        raise InputError("fp16 needs a GPU", place="--precision", hint="use bf16 or fp32")
    if precision == "auto":
        precision = (
            "bf16" if cuda and not on_cpu and torch.cuda.is_bf16_supported(False) else "fp32"
        )
    # Accelerate keeps its state for the life of the process; the second run of a notebook may want
    # another precision or device.
    AcceleratorState._reset_state(reset_partial_state=not inside())
    accelerator = Accelerator(
        cpu=on_cpu,
        mixed_precision="no" if precision == "fp32" else precision,
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )
    if accelerator.num_processes != num_processes:
        raise InputError(
            f"{accelerator.num_processes} processes, {num_processes} asked for",
            place="--num-processes",
            hint="start with --num-processes N, or under torchrun --nproc-per-node N",
        )
    return accelerator


@contextmanager
def _environment(num_processes: int, said: Path) -> Iterator[None]:
    """The variables that workers are started with; a program that called us keeps its own."""
    before = dict(os.environ)
    try:
        _set_environment(num_processes, said)
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _set_environment(num_processes: int, said: Path) -> None:
    os.environ[_EXIT_FILE] = str(said)
    # `python -m` would import modules that lie in the current folder, which holds data.
    os.environ["PYTHONSAFEPATH"] = "1"
    threads = max(cores() // num_processes, 1)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    # Models with a part that is not used need DDP's search for it; where there is none, the search
    # would be warned about from C++, which Python cannot silence.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    # Else gloo asks for the address of this machine's name, and listens there.
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")


def _exit_code(said: Path, code: int) -> int:
    """What a worker has said, else what the launcher saw: 0, or one of our own signals as a shell
    gives it. Raises `LostError` for the end of a worker that nobody has told of."""
    if said.exists():
        return int(said.read_text(encoding="ascii") or INTERNAL_ERROR)
    if code > 0:
        raise LostError(f"a worker process ended with code {code}", exit_code=INTERNAL_ERROR)
    as_shell = 128 - code if code else 0
    if as_shell not in _TOGETHER:
        raise LostError(f"a process of this run was killed (signal {-code})", exit_code=as_shell)
    return as_shell
