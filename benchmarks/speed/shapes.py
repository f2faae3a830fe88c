"""Training of random models of other shapes by length, as it is done on a GPU: in bf16.

With the memory of each side, the kernels that take the most time, and the share of the stated peak.
In a quick run a tiny one on the CPU, to see that the script works.
"""

from __future__ import annotations

from random import Random
from typing import Any

from benchmarks.speed.lines import BF16, GROUPED_PEERS, Group, Line, Peer, Setting
from benchmarks.speed.models import SHAPES
from hfkit.run.made_texts import made_text

# Longest texts -> batch sizes, to see the memory of either.
BATCHES = {128: (32, 8, 128), 512: (32, 8), 2048: (8,), 8192: (4,)}
ROWS = {128: 1024, 512: 512, 2048: 128, 8192: 32}
REACH = 2


def made(longest: int, count: int) -> list[str]:
    """Texts of which half are shorter than a quarter of the longest; a word is about a token."""
    chance = Random(longest)
    words = [round(longest / 4 * chance.lognormvariate(0.0, 0.8)) for _ in range(count)]
    return [made_text(min(max(number, 4), longest), chance) for number in words]


def shape_group(model: str, longest: int, batch: int) -> Group:
    """Trainer at its best beside hfkit."""
    name = f"shape-{model}-{longest}-batch-{batch}"

    def jobs(setting: Setting) -> dict[str, dict[str, Any]]:
        size = 8 if setting.quick else longest
        given = {"mixed": made(size, setting.size(ROWS[longest]))}
        folder = setting.models.shape(model, longest)
        same = {
            "max_length": longest, "batch_size": batch, "epochs": 100,
            "fitting": {"lr": 5e-5, "warmup": 0, "weight_decay": 0},
        }  # fmt: skip
        return {
            BF16: setting.job("peers:trainer", folder, given, **same, **GROUPED_PEERS[BF16]),
            "hfkit bf16": setting.job("ours:training", folder, given, **same, precision="bf16"),
        }

    title = f"training, {model}, ≤ {longest}, batch {batch}, bf16"
    line = Line(
        name, title, "mixed", "hfkit bf16", (Peer((BF16,), REACH),), "bf16", times_forward=3
    )
    return Group(name, (line,), jobs, model=lambda models: models.shape(model, longest))


SHAPE_GROUPS = {
    group.name: group
    for group in (
        shape_group(model, longest, batch)
        for model in SHAPES for longest, batches in BATCHES.items() for batch in batches
    )
}  # fmt: skip
