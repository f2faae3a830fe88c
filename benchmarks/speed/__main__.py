"""Command line of the speed benchmark: which lines, their measurement, the table."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.speed import __doc__ as about
from benchmarks.speed import alone, table, texts
from benchmarks.speed.lines import GROUPS, Group, Setting
from benchmarks.speed.models import Models
from benchmarks.speed.ours import exported
from benchmarks.speed.records import Measurement
from benchmarks.speed.shapes import SHAPE_GROUPS, shape_group
from benchmarks.speed.turns import measure
from hfkit.run.machine import machine

ALONE = ("share", "cold", "memory", "length")
IDLE = 0.5


def main() -> None:
    given = arguments()
    os.environ |= {"TRANSFORMERS_VERBOSITY": "error", "TQDM_DISABLE": "1"}
    if given.verbose:
        logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    if given.table:
        table.write(given.results)
        return
    if given.device == "cuda":
        require_cuda()
    groups = {**GROUPS, **(SHAPE_GROUPS if given.device == "cuda" else {})}
    if given.quick:
        small = shape_group("bert-base", 128, 8)
        groups = {**GROUPS, small.name: small}
    groups = {
        name: found for name, group in groups.items() if (found := part_of(group, given.rows))
    }
    alone_ones = [name for name in ALONE if given.device == "cpu" or name != "share"]
    names = [*groups, *(name for name in alone_ones if begins(name, given.rows))]
    if not names:
        raise SystemExit(f"no such rows; there are: {', '.join((*GROUPS, *ALONE))}")
    given.results.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="hfkit-speed-") as folder:
        models = Models(Path(folder), tiny=given.quick)
        setting = Setting(models, given.device, given.threads, given.quick)
        base = {
            "device": given.device, "threads": given.threads, "source": texts.source(),
            "machine": machine(), "load": busy(), **gpu(given.device),
        }  # fmt: skip
        with given.results.open("a", encoding="utf-8") as file:
            for record in measured(names, groups, setting, given):
                file.write(json.dumps({**record, **base}) + "\n")
                file.flush()
    if not given.quick and given.results == table.RESULTS:
        table.write()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed", description=(about or "").splitlines()[0]
    )
    parser.add_argument("--rows", nargs="+", default=[""], help="names, or how they begin")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--rounds", type=int, help="default: 3 or 5, as the group says")
    parser.add_argument("--million", action="store_true", help="memory up to 1,000,000 rows")
    parser.add_argument("--profile", action="store_true", help="also the longest kernels")
    parser.add_argument("--verbose", action="store_true", help="tell of every round")
    parser.add_argument("--quick", action="store_true", help="only see that every line runs")
    parser.add_argument("--results", type=Path, default=table.RESULTS)
    parser.add_argument("--table", action="store_true", help="only write the table of the docs")
    given = parser.parse_args()
    if given.quick and given.results == table.RESULTS:
        parser.error("--quick needs --results FILE: its figures mean nothing")
    return given


def require_cuda() -> None:
    import torch

    if not torch.cuda.is_available():
        raise SystemExit("NO CUDA DEVICE HERE: nothing was measured on a GPU")


def busy() -> float:
    """How many processes wanted the processor before the start; said where it is not idle."""
    load = round(os.getloadavg()[0], 2)
    if load > IDLE:
        print(f"this machine is busy (load {load}): ratios suffer, rates more", file=sys.stderr)
    return load


def gpu(device: str) -> dict[str, str]:
    if device == "cpu":
        return {}
    import torch

    return {"gpu": torch.cuda.get_device_name()}


def begins(name: str, starts: Iterable[str]) -> bool:
    return any(name.startswith(start) for start in starts)


def part_of(group: Group, starts: list[str]) -> Group | None:
    """The group with the lines that are asked for, by its name or theirs."""
    lines = tuple(
        line for line in group.lines if begins(group.name, starts) or begins(line.name, starts)
    )
    return replace(group, lines=lines) if lines else None


def measured(
    names: list[str], groups: dict[str, Group], setting: Setting, given: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """The records of everything, as it is done; each is told on stderr."""
    begin = time.monotonic()
    peaks = alone.peaks(setting)
    yield {
        "kind": "peaks", "line": "peaks", "title": "largest products",
        "gflops": {name: round(value / 1e9) for name, value in peaks.items()},
    }  # fmt: skip
    for name in names:
        rounds = 1 if setting.quick else given.rounds
        found: Iterable[dict[str, Any]]
        if name in groups:
            found = of_group(groups[name], setting, peaks, rounds, given.profile)
        else:
            found = by_itself(name, setting, rounds or 5, given.million)
        for record in found:
            tell(record, time.monotonic() - begin)
            yield record


def by_itself(name: str, setting: Setting, rounds: int, million: bool) -> list[dict[str, Any]]:
    """The records of a line that is no group."""
    if name == "share":
        return alone.share(setting, min(rounds, 3))
    if name == "cold":
        return alone.cold(setting, rounds)
    if name == "memory":
        return alone.memory(setting, million)
    return alone.length(setting, min(rounds, 3))


def of_group(
    group: Group, setting: Setting, peaks: dict[str, float], rounds: int | None, profile: bool
) -> list[dict[str, Any]]:
    needed = set().union(*(line.needs() for line in group.lines))
    jobs = {name: job for name, job in group.jobs(setting).items() if name in needed}
    absent: dict[str, str] = {}
    for engine in group.exports:
        why = "not in a quick run"
        if not setting.quick:
            why = exported(group.model(setting.models), engine)
        if why:
            absent.update({name: f"not exported: {why}" for name, job in jobs.items()
                           if job.get("engine") == engine})  # fmt: skip
    parts = list(dict.fromkeys(line.part for line in group.lines))
    there = {name: job for name, job in jobs.items() if name not in absent}
    turns = measure(
        there, parts, rounds or group.rounds, inside=setting.quick,
        profile=profile or (setting.device == "cuda" and group.name in SHAPE_GROUPS),
        compared=compared_parts(group, jobs),
    )  # fmt: skip
    turns.failed.update(absent)
    return Measurement(group, turns, setting, peaks).records()


def compared_parts(group: Group, jobs: dict[str, dict[str, Any]]) -> list[str]:
    """The parts that lines are compared on; labels in bf16 on all, as a few rows say little."""
    if any(line.compared == "agreement" for line in group.lines):
        return list(next(iter(jobs.values()))["texts"])
    return list(dict.fromkeys(line.part for line in group.lines if line.compared))


def tell(record: dict[str, Any], seconds: float) -> None:
    """One line of progress."""
    said = record.get("unavailable", "")
    if not said and "peers" in record:
        said = "; ".join(
            f"{peer['ratio']['value']:.3g} × {peer['title']}"
            for peer in record["peers"] if "ratio" in peer
        )  # fmt: skip
        tokens = record.get("tokens_per_second", {}).get("value")
        said = (f"{tokens:,.0f} tokens/s; " if tokens else "") + said
        said += f" {record['compared']}" if "compared" in record else ""
    elif not said:
        said = json.dumps(record.get("steps", ""))
    print(f"{seconds:5.0f} s  {record['line']}: {said}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
