"""Command line of the quality benchmark: the jobs, their processes, the table."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

from benchmarks.quality import __doc__ as about

TASKS = {
    "ner": "ner", "qa": "qa", "similarity": "similarity", "zero-shot": "zero_shot",
    "text2text": "writing",
    "generation": "generation",
}  # fmt: skip
TOOLS = ("peer", "hfkit")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality", description=(about or "").splitlines()[0]
    )
    parser.add_argument("--runs", type=Path, default=Path("runs/quality.jsonl"))
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--tools", nargs="+", choices=TOOLS, default=list(TOOLS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--sets", nargs="+", help="only these data sets")
    parser.add_argument("--limit", type=int, default=2000, help="training rows; 0: all")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(run(json.loads(given.one), given.runs)))
        return
    if not given.table:
        for job in jobs(given):
            execute(job, given.runs)
    table(given.runs)


def jobs(given: argparse.Namespace) -> list[dict]:
    """The runs asked for, seed by seed, so that an early stop leaves complete comparisons."""
    return [
        {"tool": tool, "seed": seed, "limit": given.limit or None, **one}
        for seed in given.seeds
        for task in given.tasks
        for one in benchmark(task).JOBS
        for tool in given.tools
        if tool == "hfkit" or one.get("how") != "embedding"
        if not given.sets or one["set"] in given.sets
    ]


def benchmark(task: str):
    return import_module(f"benchmarks.quality.{TASKS[task]}")


def execute(job: dict, runs: Path) -> None:
    """Run one job in its own process, unless its result is there."""
    runs.parent.mkdir(parents=True, exist_ok=True)
    known = [json.loads(line) for line in runs.read_text().splitlines()] if runs.exists() else []
    if any(all(line.get(key) == value for key, value in job.items()) for line in known):
        return
    command = [sys.executable, "-m", "benchmarks.quality", "--runs", str(runs)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [*command, "--one", json.dumps(job)], capture_output=True, text=True, env=environment
    )
    if done.returncode:
        print(f"failed: {job}\n{done.stderr[-3000:]}", file=sys.stderr, flush=True)
        return
    line = {**job, **json.loads(done.stdout.splitlines()[-1])}
    with runs.open("a") as file:
        file.write(json.dumps(line) + "\n")
    print(line, file=sys.stderr, flush=True)


def run(job: dict, runs: Path) -> dict:
    """One training or prediction; returns its scores and the seconds it took."""
    from hfkit.model.arithmetic import set_arithmetic

    set_arithmetic("auto", None)  # both sides multiply alike
    found = benchmark(job["task"])
    start = time.monotonic()
    scores = getattr(found, f"with_{job['tool']}")(job, runs.with_suffix(".models"))
    return {**scores, "seconds": round(time.monotonic() - start, 1)}


def table(runs: Path) -> None:
    """Mean and spread over the seeds: one table a task, one line a data set, size and tool."""
    lines = [json.loads(line) for line in runs.read_text().splitlines()]
    seen: dict[tuple, int] = {}
    for line in lines:
        same = tuple(line[name] for name in ("task", "set", "limit", "seed"))
        if seen.setdefault(same, line["rows"]) != line["rows"]:
            print(f"different rows on the two sides: {same}", file=sys.stderr)
    for task in TASKS:
        groups: dict[tuple, list[dict]] = {}
        for line in lines:
            if line["task"] == task:
                key = (line["set"], line.get("how", ""), line["limit"] or "all", line["tool"])
                groups.setdefault(key, []).append(line)
        if not groups:
            continue
        names = benchmark(task).SCORES
        print(f"\n| {task} | rows | tool | seeds |", *(f"{name} |" for name in names))
        print("|---|--:|---|--:|" + "--:|" * len(names))
        for (data, how, limit, tool), found in sorted(groups.items(), key=str):
            cells = [cell([line[name] for line in found if name in line]) for name in names]
            print("|", " | ".join([f"{data} {how}".strip(), str(limit), tool, str(len(found)),
                                   *cells]), "|")  # fmt: skip


def cell(values: list[float]) -> str:
    """
    >>> cell([0.5, 0.7]), cell([0.5]), cell([])
    ('0.600 ± 0.141', '0.500', '')
    """
    if len(values) > 1:
        return f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f}"
    return f"{values[0]:.3f}" if values else ""


if __name__ == "__main__":
    main()
