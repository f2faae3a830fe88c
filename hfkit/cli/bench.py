"""The tables of `hfkit bench`: rates by size of the batches; single texts, cold start, memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TextIO

from hfkit.cli.console import show, table

if TYPE_CHECKING:
    from hfkit.commands.bench import Benched


def show_bench(benched: Benched, stream: TextIO) -> None:
    """Write what was measured, the figures with their intervals, and where they belong."""
    found = benched.to_json()
    lengths, machine = found["tokens"], found["machine"]
    title = (
        f"{found['model']}, {found['task']}: {found['rows']} rows, {found['source']}; "
        f"tokens a row: mean {lengths['mean']:g}, median {lengths['p50']:g}, p99 {lengths['p99']:g}"
    )
    rates = [_rates(engine, batch) for engine in found["engines"] for batch in engine["batches"]]
    alone = [_alone(engine) for engine in found["engines"]]
    parts = [
        title,
        "",
        table(rates, tuple(rates[0])[1:]),
        "",
        table(alone, tuple(alone[0])[1:]),
        "",
    ]
    parts += [f"{engine}: not measured: {why}" for engine, why in found["unavailable"].items()]
    parts += [
        f"medians of {found['rounds']} rounds with 95% intervals; p50, p95: one text at a time; "
        "cold start: one text in a new process; MiB: memory of a command that answers all rows",
        f"{machine['cores']} cores of {machine['processor']}",
    ]
    show(parts, stream)


def _rates(engine: Mapping[str, Any], batch: Mapping[str, Any]) -> dict[str, str]:
    return {
        "engine": f"{engine['engine']} {engine['precision']}",
        "tokens at once": str(batch["batch_tokens"]),
        "rows/s": _with_interval(batch["rows_per_second"]),
        "tokens/s": _with_interval(batch["tokens_per_second"]),
    }


def _alone(engine: Mapping[str, Any]) -> dict[str, str]:
    start, peak, latency = engine["cold_start"], engine["peak_mib"], engine["latency_seconds"]
    return {
        "engine": f"{engine['engine']} {engine['precision']}",
        "p50 ms": _with_interval(latency["p50"], 1000),
        "p95 ms": _with_interval(latency["p95"], 1000),
        "cold start s": "" if start is None else _short(start["wall_seconds"]["value"]),
        "CPU s": "" if start is None else _short(start["cpu_seconds"]["value"]),
        "MiB": "" if peak is None else _short(peak),
    }


def _with_interval(found: Mapping[str, float | None], factor: float = 1.0) -> str:
    """
    >>> _with_interval({"value": 12.34, "low": 11.0, "high": 13.51})
    '12.3 (11–13.5)'
    >>> _with_interval({"value": 0.0123, "low": None, "high": None}, 1000)
    '12.3'
    """
    value, low, high = (
        None if found[name] is None else _short((found[name] or 0.0) * factor)
        for name in ("value", "low", "high")
    )
    return f"{value}" if low is None else f"{value} ({low}–{high})"


def _short(value: float) -> str:
    """Three digits that say something, without an exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
