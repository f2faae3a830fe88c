"""From rounds to lines of the results file: medians, ratios, shares of the limit, comparisons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.speed.limit import STATED_BF16, useful_flops
from benchmarks.speed.lines import Group, Line, Peer, Setting
from benchmarks.speed.turns import Turns
from hfkit.run.timing import measured, ratio

CLOSE = {"logits": 1e-4, "vectors": 1e-4}  # the largest difference of two numbers
AGREE = {"labels": 1.0, "agreement": 0.995}  # share of equal answers


@dataclass(frozen=True)
class Measurement:
    """A group that was measured, and what its figures are set against."""

    group: Group
    turns: Turns
    setting: Setting
    peaks: Mapping[str, float]

    def records(self) -> list[dict[str, Any]]:
        """One for each line."""
        return [self._record(line) for line in self.group.lines]

    def _record(self, line: Line) -> dict[str, Any]:
        turns = self.turns
        base = {"kind": "ratio", "line": line.name, "title": line.title, "ours": line.ours}
        if line.ours in turns.failed:
            return {**base, "unavailable": turns.failed[line.ours]}
        lengths = turns.lengths[line.part]
        seconds = turns.seconds(line.ours, line.part)
        work = useful_flops(self.group.model(self.setting.models), lengths) * line.times_forward
        rate = work / float(np.median(seconds))
        peak = self._peak(line.dtype)
        return {
            **base,
            "encoded_rows": len(lengths),
            "tokens": {"total": sum(lengths), "mean": round(float(np.mean(lengths)), 1),
                       "p50": float(np.median(lengths)), "p99": float(np.quantile(lengths, 0.99))},
            "rounds": len(seconds),
            **self._figures(line, line.ours),
            "gflops": round(rate / 1e9, 1),
            "share_of_peak": round(rate / peak, 3) if peak else None,
            **self._stated(rate),
            "peers": [self._peer(line, peer) for peer in line.peers],
            **({"compared": self._compared(line)} if line.compared else {}),
        }  # fmt: skip

    def _figures(self, line: Line, name: str) -> dict[str, Any]:
        """What one contestant reached."""
        turns, tokens = self.turns, sum(self.turns.lengths[line.part])
        seconds = turns.seconds(name, line.part)
        peaks = turns.seconds(name, line.part, "peak_mib")
        return {
            "seconds": measured(seconds).to_json(),
            "cpu_seconds": measured(turns.seconds(name, line.part, "cpu")).to_json(),
            "tokens_per_second": measured([tokens / taken for taken in seconds]).to_json(),
            "peak_mib": round(max(peaks)),
            "kernels": turns.kernels[name].get(line.part, []),
        }

    def _peer(self, line: Line, peer: Peer) -> dict[str, Any]:
        """The fastest of the peer's contestants beside ours."""
        turns = self.turns
        base = {"title": peer.title, "reach": peer.reach, "aim": peer.aim}
        there = [name for name in peer.names if name not in turns.failed]
        if not there:
            return {**base, "unavailable": turns.failed[peer.names[0]]}
        best = min(there, key=lambda name: float(np.median(turns.seconds(name, line.part))))
        pairs = {
            clock: ratio(turns.seconds(best, line.part, clock),
                         turns.seconds(line.ours, line.part, clock)).to_json()
            for clock in ("wall", "cpu")
        }  # fmt: skip
        figures = self._figures(line, best)
        return {**base, "name": best, **figures, "ratio": pairs["wall"], "cpu_ratio": pairs["cpu"]}

    def _peak(self, dtype: str) -> float:
        """The largest product of this arithmetic, with whatever kernels are fastest."""
        return max((value for name, value in self.peaks.items() if name.startswith(dtype)),
                   default=0.0)  # fmt: skip

    def _stated(self, rate: float) -> dict[str, Any]:
        if self.setting.device != "cuda":
            return {}
        import torch

        name = torch.cuda.get_device_name()
        stated = next((value for part, value in STATED_BF16.items() if part in name), None)
        return {"share_of_stated_bf16": round(rate / stated, 3) if stated else None}

    def _compared(self, line: Line) -> dict[str, Any]:
        """Whether our outputs are the peer's."""
        other = line.with_whom or line.peers[0].names[0]
        if other in self.turns.failed:
            return {"with": other, "unavailable": self.turns.failed[other]}
        outputs = self.turns.outputs
        ours, theirs = (outputs[name][line.part] for name in (line.ours, other))
        if line.compared in CLOSE:
            difference = float(np.abs(np.array(ours) - np.array(theirs)).max())
            equal = difference <= CLOSE[line.compared]
            return {"with": other, "largest_difference": float(f"{difference:.2g}"), "equal": equal}
        if line.compared == "agreement":  # over the texts of all parts: a few say little
            ours, theirs = (
                [row.index(max(row)) for part in outputs[name].values() for row in part]
                for name in (line.ours, other)
            )
        same = float(np.mean([one == two for one, two in zip(ours, theirs, strict=True)]))
        equal = same >= AGREE[line.compared]
        return {"with": other, "agreement": round(same, 4), "equal": equal}
