"""Limits, cold start, memory, length, one thread: what is measured in new processes, or of hfkit by
itself."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from benchmarks.speed.limit import useful_flops
from benchmarks.speed.lines import ENGINES, GROUPS, Line, Setting
from benchmarks.speed.ours import exported
from benchmarks.speed.turns import Turns, environment, measure
from hfkit.errors import InputError
from hfkit.run.fresh import Fresh, run_fresh
from hfkit.run.made_texts import made_text, made_texts
from hfkit.run.timing import measured, ratio

TEXT = "The courier says he rang, but nobody came all day."
PIPELINE = "pipeline one-liner"
ONE_LINER = (
    "from transformers import pipeline; import sys; "
    "print(pipeline('text-classification', model=sys.argv[1], device=-1)(sys.argv[2]))"
)
REACH, AIM, MEMORY = 10, 25, 150  # times as fast, MiB
SIZES = (1_000, 10_000, 40_000)
MILLION = 1_000_000
GROWTH = {"reach": 1.1, "aim": 1.0}
LENGTHS = (64, 256, 1024, 4096)
TOKENS = 16_384  # for each length
PEAKS = ("fp32 default", "fp32 oneDNN", "bf16")


class Wanted(NamedTuple):
    """The share of the limit that a contestant of a group is to reach; in training also with more
    rows to a step, of which what a step costs whatever its size is a smaller part."""

    group: str
    ours: str
    share: float
    batch_size: int | None = None


SHARES = (
    Wanted("train-128", "hfkit fp32", 0.45),
    Wanted("train-128", "hfkit fp32", 0.45, 32),
    Wanted("train-512", "hfkit fp32", 0.45),
    Wanted("train-512", "hfkit fp32", 0.45, 32),
    Wanted("predict", "hfkit torch", 0.6),
)


def peaks(setting: Setting) -> dict[str, float]:
    """The largest products that the device reaches, in operations a second."""
    job = setting.job("limit:peaks", Path(), dict.fromkeys(PEAKS), quick=setting.quick)
    turns = measure(
        {"peaks": job}, PEAKS, 1, inside=setting.quick, profile=False, compared=PEAKS
    )  # fmt: skip
    if turns.failed:
        raise SystemExit(f"the limit cannot be measured: {turns.failed['peaks']}")
    return turns.outputs["peaks"]


def share(setting: Setting, rounds: int) -> list[dict[str, Any]]:
    """What hfkit reaches of the limit in fp32, on one thread, where no core waits for another, and
    on all.

    The limit takes turns with the work, as a shared processor is faster at one time than at
    another. The share of a round is that of the limit measured just before it.
    """
    base = {"kind": "share", "line": "share", "title": "share of the limit", "ours": "hfkit"}
    steps: list[dict[str, Any]] = []
    for threads in sorted({1, setting.threads}):
        here = replace(setting, threads=threads)
        for wanted in SHARES:
            group = GROUPS[wanted.group]
            lines = [line for line in group.lines if line.ours == wanted.ours]
            job, more = group.jobs(here)[wanted.ours], ""
            if wanted.batch_size:
                job, more = {**job, "batch_size": wanted.batch_size}, f", batch {wanted.batch_size}"
            turns = _beside_limit(job, [line.part for line in lines], here, rounds)
            for why in turns.failed.values():
                return [{**base, "unavailable": why}]
            weights = group.model(setting.models)
            steps += [
                {"threads": threads, "wanted": wanted.share, **_step(line, turns, weights),
                 "title": line.title + more}
                for line in lines
            ]  # fmt: skip
    return [{**base, "rounds": rounds, "steps": steps}]


def _beside_limit(job: dict[str, Any], parts: list[str], setting: Setting, rounds: int) -> Turns:
    """A contestant in turns with the largest products in fp32."""
    fp32 = [kind for kind in PEAKS if kind.startswith("fp32")]
    limit = setting.job(
        "limit:peaks", Path(), dict.fromkeys(parts), quick=setting.quick, kinds=fp32
    )  # fmt: skip
    jobs = {"limit": limit, "hfkit": job}
    return measure(jobs, parts, rounds, inside=setting.quick, profile=False)


def _step(line: Line, turns: Turns, weights: Path) -> dict[str, Any]:
    lengths = turns.lengths[line.part]
    work = useful_flops(weights, lengths) * line.times_forward
    seconds = turns.seconds("hfkit", line.part)
    limits = turns.seconds("limit", line.part, "flops")
    shares = [work / s / limit for s, limit in zip(seconds, limits, strict=True)]
    return {
        "title": line.title,
        "tokens_per_second": measured([sum(lengths) / s for s in seconds]).to_json(),
        "limit_gflops": round(measured(limits).value / 1e9),
        "share": measured(shares).to_json(),
    }


def cold(setting: Setting, rounds: int) -> list[dict[str, Any]]:
    """One text from a cold shell: the pipeline's one-liner beside `hfkit predict`, in turns."""
    folder = str(setting.models.with_head("classifier"))
    predict = [sys.executable, "-m", "hfkit", "predict", folder, TEXT, "--text", "--quiet"]
    predict += ["--threads", str(setting.threads)]
    commands = {PIPELINE: [sys.executable, "-c", ONE_LINER, folder, TEXT]}
    commands["hfkit torch"] = [*predict, "--engine", "torch"]
    for engine in ENGINES:
        commands[f"hfkit {engine}"] = [*predict, "--engine", engine]
    found: dict[str, list[Fresh]] = {name: [] for name in commands}
    failed: dict[str, str] = {}
    for engine in ENGINES:
        why = "not in a quick run" if setting.quick else exported(Path(folder), engine)
        if why:
            failed[f"hfkit {engine}"] = f"not exported: {why}"
    for number in range(rounds if setting.quick else rounds + 1):
        for name, command in commands.items():
            if name in failed:
                continue
            try:
                taken = run_fresh(command, environment(setting.threads))
            except InputError as error:
                failed[name] = str(error)
                continue
            if number or setting.quick:
                found[name].append(taken)
    return [
        _cold_record(name, found, failed) for name in commands if name != PIPELINE
    ]  # fmt: skip


def _cold_record(
    name: str, found: Mapping[str, list[Fresh]], failed: Mapping[str, str]
) -> dict[str, Any]:
    engine = name.removeprefix("hfkit ")
    base = {
        "kind": "cold", "line": f"cold-{engine}", "title": f"one text from a cold shell, {engine}",
        "ours": name,
    }  # fmt: skip
    for side in (name, PIPELINE):
        if side in failed:
            return {**base, "unavailable": failed[side]}
    figures = {
        side: {
            "wall_seconds": measured([one.wall for one in found[side]]).to_json(),
            "cpu_seconds": measured([one.cpu for one in found[side]]).to_json(),
            "peak_mib": round(max(one.peak_mib for one in found[side])),
        }
        for side in (name, PIPELINE)
    }
    pairs = {
        clock: ratio(
            [getattr(one, clock) for one in found[PIPELINE]],
            [getattr(one, clock) for one in found[name]],
        ).to_json()
        for clock in ("wall", "cpu")
    }
    peer = {
        "title": PIPELINE, "name": PIPELINE, "reach": REACH, "aim": AIM, **figures[PIPELINE],
        "ratio": pairs["wall"], "cpu_ratio": pairs["cpu"],
    }  # fmt: skip
    return {**base, "rounds": len(found[name]), **figures[name], "most_mib": MEMORY,
            "peers": [peer]}  # fmt: skip


def memory(setting: Setting, million: bool) -> list[dict[str, Any]]:
    """Memory and rows a second of `hfkit predict` by the number of rows; made-up short texts.

    The rate of a step is that of the rows it adds, so that the start is not in it.
    """
    folder = str(setting.models.with_head("classifier"))
    sizes: Sequence[int] = (20, 60) if setting.quick else SIZES + (MILLION,) * million
    base = {"kind": "memory", "line": "memory", "title": "memory by number of rows"}
    steps: list[dict[str, Any]] = []
    before = 0, 0.0
    with tempfile.TemporaryDirectory() as out:
        for size in sizes:
            given = Path(out, "texts.txt")
            with given.open("w", encoding="utf-8") as file:
                for start in range(0, size, 1000):
                    texts = made_texts("short", min(1000, size - start), seed=start)
                    file.write("\n".join(texts) + "\n")
            command = [sys.executable, "-m", "hfkit", "predict", folder, str(given), "--quiet"]
            command += ["-o", f"{out}/answers.jsonl", "--overwrite", "--device", setting.device]
            command += ["--threads", str(setting.threads), "--engine", "torch"]
            try:
                taken = run_fresh(command, environment(setting.threads))
            except InputError as error:
                return [{**base, "ours": "hfkit predict", "unavailable": str(error)}]
            rate = (size - before[0]) / max(taken.wall - before[1], 1e-9)
            before = size, taken.wall
            steps.append({
                "rows": size, "peak_mib": round(taken.peak_mib),
                "wall_seconds": round(taken.wall, 1),
                "rows_per_second": round(rate, 1) if steps else None,
                "cores_busy": round(taken.cpu / taken.wall / setting.threads, 3),
            })  # fmt: skip
    growth = steps[-1]["peak_mib"] / steps[0]["peak_mib"]
    return [{**base, "ours": "hfkit predict", "steps": steps, "growth": round(growth, 3), **GROWTH}]


def length(setting: Setting, rounds: int) -> list[dict[str, Any]]:
    """Time for a token by the length of the texts: a random model of MiniLM's shape that reads
    4096."""
    lengths = (16, 64) if setting.quick else LENGTHS
    longest = max(lengths)
    folder = setting.models.shape("minilm", longest)
    chance = Random(0)
    given = {
        str(number): [
            " ".join(made_text(number - 2, chance).replace(".", "").split()[: number - 2])
            for _ in range(1 if setting.quick else max(1, TOKENS // number))
        ]
        for number in lengths
    }
    base = {"kind": "length", "line": "length", "title": "time for a token by length"}
    job = setting.job(
        "ours:predicting", folder, given, engine="torch", precision="fp32", compared="",
        ask={"max_length": longest},
    )  # fmt: skip
    ours = "hfkit torch"
    turns = measure({ours: job}, list(given), rounds, inside=setting.quick, profile=False)
    if ours in turns.failed:
        return [{**base, "ours": ours, "unavailable": turns.failed[ours]}]
    steps = []
    for part in given:
        tokens = turns.lengths[part]
        micros = [taken / sum(tokens) * 1e6 for taken in turns.seconds(ours, part)]
        steps.append({"length": round(sum(tokens) / len(tokens)),
                      "microseconds_per_token": measured(micros).to_json()})  # fmt: skip
    return [{**base, "ours": ours, "rounds": rounds, "steps": steps}]
