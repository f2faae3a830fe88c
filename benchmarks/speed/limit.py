"""How near a contestant comes to what the machine can do: useful work over the fastest product."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.speed.pace import Pace

SIDE = {"cpu": 2048, "cuda": 8192}
SMALL = 128  # in a quick run
SECONDS = 1.0
# bf16 with fp32 sums, without sparsity, as the makers state it.
STATED_BF16 = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L4": 121e12, "A10": 125e12}


def useful_flops(folder: Path, lengths: Sequence[int]) -> float:
    """Floating-point operations of one forward pass through the layers, without padding.

    Two for each weight of the layers and token, and 4·L²·width for the two products of attention in
    each layer (with a window of W tokens 4·L·W·width). Embeddings, norms, softmax and heads are not
    counted.
    """
    config = json.loads((folder / "config.json").read_text("utf-8"))
    width, layers = config["hidden_size"], config["num_hidden_layers"]
    # ModernBERT's first product gives twice the width, for its gate.
    products = 3 if config["model_type"] == "modernbert" else 2
    weights = layers * (4 * width**2 + products * width * config["intermediate_size"])
    tokens, squares = sum(lengths), sum(length**2 for length in lengths)
    pairs = layers * squares
    if config["model_type"] == "modernbert":  # only each third layer looks beyond its window
        near = sum(length * min(length, config["local_attention"]) for length in lengths)
        far = -(-layers // config["global_attn_every_n_layers"])
        pairs = far * squares + (layers - far) * near
    return 2 * weights * tokens + 4 * width * pairs


def peaks(pace: Pace, job: dict) -> None:
    """A contestant that measures the largest products, in operations a second: a round for each
    arithmetic, or in each round the best of `kinds`."""
    import torch

    side = SMALL if job["quick"] else SIDE[job["device"]]

    def product(part: str) -> None:
        dtype = torch.bfloat16 if part == "bf16" else torch.float32
        if torch.backends.mkldnn.is_available():
            onednn = "bf16" if part == "fp32 oneDNN" else "none"
            torch.backends.mkldnn.matmul.fp32_precision = onednn
        one = torch.rand(side, side, dtype=dtype, device=job["device"])
        other = torch.rand(side, side, dtype=dtype, device=job["device"])
        if onednn_rounds(one, other, dtype):
            found[part] = 0.0
            return
        best = float("inf")
        begin = time.perf_counter()
        while time.perf_counter() - begin < (0.05 if job["quick"] else SECONDS):
            start = time.perf_counter()
            torch.nn.functional.linear(one, other)
            if job["device"] == "cuda":
                torch.cuda.synchronize()
            best = min(best, time.perf_counter() - start)
        found[part] = 2 * side**3 / best

    def onednn_rounds(one: Any, other: Any, dtype: Any) -> bool:
        """Whether fp32 is not fp32 here: the switch to oneDNN allows bf16."""
        found = torch.nn.functional.linear(one[:64], other[:64]).double()
        exact = one[:64].double() @ other[:64].double().t()
        error = float((found - exact).abs().max() / exact.abs().max())
        return dtype == torch.float32 and error > 1e-4  # tf32 and bf16 are off by more

    found: dict[str, float] = {}

    def products(part: str) -> None:
        for kind in job.get("kinds", [part]):
            product(kind)

    pace.serve(products, lambda part: found[part], lambda: {"flops": max(found.values())})
