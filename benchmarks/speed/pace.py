"""The side of a contestant: it waits for its turn, does one round, and says what that took."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, Protocol

KERNELS = 4  # that take the most time, in a profile


class Channel(Protocol):
    """Where commands come from and reports go to."""

    def receive(self) -> dict[str, Any]: ...

    def send(self, message: Mapping[str, Any]) -> None: ...


class Ended(BaseException):
    """No more rounds: unwinds a training that would go on."""


class Clock:
    """Seconds since it was made; on a GPU everything asked of it is done first."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.synchronize()
        if device == "cuda":
            import torch

            torch.cuda.reset_peak_memory_stats()
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def read(self) -> dict[str, float]:
        self.synchronize()
        taken = {
            "wall": time.perf_counter() - self.wall,
            "cpu": time.process_time() - self.cpu,
            "peak_mib": peak_mib(self.device),
        }
        return taken

    def synchronize(self) -> None:
        if self.device == "cuda":
            import torch

            torch.cuda.synchronize()


def peak_mib(device: str) -> float:
    """The largest memory of this process, or of the GPU since the clock was started."""
    if device == "cuda":
        import torch

        return torch.cuda.max_memory_allocated() / 2**20
    import resource

    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


class Pace:
    """Rounds on command. A contestant calls `serve`, or `Steps` where a library owns the loop."""

    def __init__(self, channel: Channel, device: str) -> None:
        self.channel, self.device = channel, device

    def serve(
        self,
        round: Callable[[str], Any],
        outputs: Callable[[str], Any] = lambda part: None,
        more: Callable[[], dict[str, float]] = dict,
        **facts: Any,
    ) -> None:
        """Do rounds until there are no more. `outputs` gives what the sides are compared by, `more`
        what else is told of the last round."""
        self.channel.send({"ready": True, **facts})
        while True:
            command = self.channel.receive()
            if command["do"] == "stop":
                return
            if command["do"] == "outputs":
                self.channel.send({"outputs": outputs(command["part"])})
                continue
            profile = Profile(self.device) if command["do"] == "profile" else None
            clock = Clock(self.device)
            round(command["part"])
            taken = {**clock.read(), **more()}
            self.channel.send({**taken, "kernels": profile.kernels() if profile else []})


class Steps:
    """Rounds of so many optimizer steps of a training that runs by itself."""

    def __init__(self, pace: Pace, per_round: int) -> None:
        self.pace, self.per_round = pace, per_round
        self.done = 0

    def begin(self, **facts: Any) -> None:
        """The first step is about to be taken."""
        self.pace.channel.send({"ready": True, **facts})
        self._next()

    def step(self) -> None:
        """A step is done."""
        self.done += 1
        if self.done % self.per_round == 0:
            taken = self.clock.read()
            kernels = self.profile.kernels() if self.profile else []
            self.pace.channel.send({**taken, "kernels": kernels})
            self._next()

    def _next(self) -> None:
        command = self.pace.channel.receive()
        while command["do"] == "outputs":
            self.pace.channel.send({"outputs": None})
            command = self.pace.channel.receive()
        if command["do"] == "stop":
            self._end()
        self.profile = Profile(self.pace.device) if command["do"] == "profile" else None
        self.clock = Clock(self.pace.device)

    def _end(self) -> NoReturn:
        raise Ended


class Profile:
    """What torch's profiler sees until it is asked."""

    def __init__(self, device: str) -> None:
        from torch.profiler import ProfilerActivity, profile

        self.of_gpu = device == "cuda"
        activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * self.of_gpu
        self.profiler = profile(activities=activities)
        self.profiler.__enter__()

    def kernels(self) -> list[dict[str, Any]]:
        """Those that take the most time, with their share of all."""
        self.profiler.__exit__(None, None, None)
        name = "self_device_time_total" if self.of_gpu else "self_cpu_time_total"
        found = [(getattr(event, name), event.key) for event in self.profiler.key_averages()]
        total = sum(time for time, _ in found) or 1
        found.sort(reverse=True)
        return [
            {"name": key[:80], "share": round(time / total, 3)} for time, key in found[:KERNELS]
        ]
