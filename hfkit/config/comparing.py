"""The settings of comparing: systems with one another, with simple baselines, over seeds."""

from __future__ import annotations

from hfkit.config.base import Section, setting
from hfkit.config.machine import Computing, Machine, Processes, Trust
from hfkit.config.reading import Columns, Reading, Strictness
from hfkit.config.training import TaskSettings


class Seeds(Section):
    """The same training with several seeds."""

    seeds: int | None = setting(
        None, "Train with N seeds, --seed and the next ones, each into a folder of OUTPUT",
        ge=2, le=100, saved=False,
    )  # fmt: skip
    split_seed: int | None = setting(
        None, "Seed of the split, and of what --limit draws; default: --seed",
        changes_result=True, ge=0, lt=2**63,
    )  # fmt: skip


class Baselines(Section):
    """Simple models beside the one that is scored."""

    baselines: bool = setting(
        False, "Also score simple models on the same rows: TF-IDF, the untrained encoder, ...",
        saved=False,
    )  # fmt: skip


class Gate(Section):
    """What a score must reach; exit 1 where it does not."""

    fail_under: list[str] = setting(
        [], "Exit 1 if a score is worse: accuracy=0.9, or 0.9 for the first score (repeatable)"
    )
    no_worse_than: str | None = setting(
        None, "Exit 1 if MODEL is worse than this run, model or file of predictions beyond chance"
    )
    margin: float = setting(0, "With --no-worse-than: how much worse is tolerated", ge=0)


class CompareConfig(
    Machine, Trust, Reading, Columns, Strictness, TaskSettings, Computing, Processes
):
    """Settings of `hfkit compare`."""

    models: list[str] = setting(
        [], "Runs, models or files of predictions, two or more", flags=("-m",)
    )
    data: str | None = setting(None, "Data with the right answers", flags=("-d",))
    output: str | None = setting(
        None, "Write every example that flipped to this JSON Lines file", flags=("-o",)
    )
    score: list[str] = setting([], "Show the differences of this score (repeatable)")
    examples: int = setting(5, "Flipped examples to show for each pair", ge=0)
    resamples: int = setting(
        2000, "Resamples of the intervals, and swaps of the permutation tests", ge=100, le=10**6
    )
    overwrite: bool = setting(False, "Replace the output file")
    json_output: bool = setting(False, "Print the result as JSON", flags=("--json",))
