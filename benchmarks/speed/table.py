"""docs/benchmarks.md from the results: the tables between its markers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "speed.jsonl"
PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- speed: begin -->", "<!-- speed: end -->"
NOTHING = "Not measured yet: `make bench` fills this in."

Record = Mapping[str, Any]


def read(path: Path) -> list[dict[str, Any]]:
    """The records of a results file; none where it does not exist."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def last_of_each(records: Iterable[Record]) -> list[Record]:
    """The last record of each line, device and number of threads, in the order of the first."""
    found: dict[tuple, Record] = {}
    for record in records:
        key = (record["device"], record["threads"], record["line"])
        found[key] = record
    return list(found.values())


def tables(records: Iterable[Record]) -> str:
    """Everything that stands between the markers."""
    known = last_of_each(records)
    if not known:
        return NOTHING
    runs: dict[tuple, list[Record]] = {}
    for record in known:
        runs.setdefault(_run_of(record), []).append(record)
    return "\n\n".join(_run(found) for found in runs.values())


def _run_of(record: Record) -> tuple:
    """What figures must have in common to stand in one table."""
    machine = json.dumps(record["machine"], sort_keys=True)
    return record["device"], record["threads"], record["source"], machine


def _run(records: Sequence[Record]) -> str:
    parts = [_heading(records[0])]
    for kind, show in (("ratio", _ratios), ("share", _shares), ("cold", _cold), ("memory", _memory),
                       ("length", _length), ("peaks", _peaks)):  # fmt: skip
        there = [record for record in records if record["kind"] == kind]
        shown = [record for record in there if "unavailable" not in record]
        if shown:
            parts.append(show(shown))
    profiles = [record for record in records if record.get("kernels")]
    if profiles:
        parts.append(_kernels(profiles))
    absent: dict[str, list[str]] = {}
    for record in records:
        if "unavailable" in record:
            absent.setdefault(record["unavailable"], []).append(record["title"])
    if absent:
        lines = [f"- {', '.join(titles)}: {why}" for why, titles in absent.items()]
        parts.append("Not available:\n\n" + "\n".join(lines))
    return "\n\n".join(parts)


def _heading(record: Record) -> str:
    machine = record["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    where = record.get("gpu") or f"{machine['processor']}, {machine['cores']} cores"
    threads = f"{record['threads']} thread" + "s" * (record["threads"] != 1)
    return f"**{where}, {threads}, {record['source']}.** Python {machine['python']}, {versions}."


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    ruler = "|".join(["---", *["--:"] * (len(heads) - 1)])
    lines = [f"| {' | '.join(heads)} |", f"|{ruler}|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def _ratios(records: Sequence[Record]) -> str:
    rows = []
    for record in records:
        tokens = _number(record["tokens_per_second"]["value"])
        share = record["share_of_peak"]
        own = [record["title"], tokens, f"{share:.0%}" if share else "", _equal(record)]
        for peer in record["peers"]:
            rows.append([own[0], own[1], *_peer(peer), own[2], _at_limit(peer, share), own[3]])
    heads = ("work", "hfkit, real tokens/s", "peer", "its tokens/s", "times as fast", "reach",
             "aim", "hfkit's share of the limit", "times as fast at the limit",
             "same results")  # fmt: skip
    return _table(heads, rows)


def _peer(peer: Record) -> list[str]:
    goals = [_goal(peer["reach"]), _goal(peer["aim"])]
    if "unavailable" in peer:
        return [peer["title"], "", "not available", *goals]
    title = peer["title"]
    if peer["name"] != title:
        title = f"{title}: {peer['name'].rpartition(', ')[2]}"
    return [title, _number(peer["tokens_per_second"]["value"]), _interval(peer["ratio"]), *goals]


def _at_limit(peer: Record, share: float | None) -> str:
    """How many times as fast as the peer the largest product of this arithmetic would be."""
    return f"{peer['ratio']['value'] / share:.1f}×" if share and "ratio" in peer else ""


def _equal(record: Record) -> str:
    found = record.get("compared")
    if not found or "unavailable" in found:
        return "not compared"
    if "largest_difference" in found:
        shown = f"within {found['largest_difference']:.0e}"
    else:
        shown = f"{found['agreement']:.2%} of labels"
    return shown if found["equal"] else f"**no**: {shown}"


def _cold(records: Sequence[Record]) -> str:
    rows = []
    for record in records:
        (peer,) = record["peers"]
        for name, one in ((record["title"], record), (f"{peer['name']}", peer)):
            figures = [f"{one[clock]['value']:.2f}" for clock in ("wall_seconds", "cpu_seconds")]
            ratios = ["", "", "", ""]
            if one is record:
                ratios = [_interval(peer["ratio"]), _interval(peer["cpu_ratio"]),
                          _goal(peer["reach"]), _goal(peer["aim"])]  # fmt: skip
            rows.append([name, *figures, str(one["peak_mib"]), *ratios])
    heads = ("one text", "s", "CPU s", "MiB", "times as fast", "in CPU time", "reach", "aim")
    return _table(heads, rows)


def _memory(records: Sequence[Record]) -> str:
    steps = [step for record in records for step in record["steps"]]
    rows = [
        [f"{step['rows']:,}", str(step["peak_mib"]), _number(step["rows_per_second"]),
         f"{step['cores_busy']:.0%}"] for step in steps
    ]  # fmt: skip
    growth = records[0]["growth"]
    heads = ("rows of `hfkit predict`", "MiB", "rows/s of those added", "cores busy")
    return f"{_table(heads, rows)}\n\nMemory grows {growth:g} times."


def _length(records: Sequence[Record]) -> str:
    rows = [
        [str(step["length"]), _interval(step["microseconds_per_token"])]
        for record in records for step in record["steps"]
    ]  # fmt: skip
    return _table(("tokens of each text", "µs for a token"), rows)


def _shares(records: Sequence[Record]) -> str:
    rows = [
        [step["title"], str(step["threads"]), _number(step["tokens_per_second"]["value"]),
         str(step["limit_gflops"]), _percent(step["share"]), f"{step['wanted']:.0%}"]
        for record in records for step in record["steps"]
    ]  # fmt: skip
    heads = ("in turns with the limit", "threads", "real tokens/s", "limit, GFLOP/s",
             "share of it", "wanted")  # fmt: skip
    return _table(heads, rows)


def _peaks(records: Sequence[Record]) -> str:
    names = list(records[0]["gflops"])
    row = ["limit: GFLOP/s of a large product", *(_number(records[0]["gflops"][n]) for n in names)]
    return _table(("", *names), [row])


def _kernels(records: Sequence[Record]) -> str:
    rows = []
    for record in records:
        shown = "; ".join(f"`{one['name']}` {one['share']:.0%}" for one in record["kernels"])
        stated = record.get("share_of_stated_bf16")
        peer = next((peer for peer in record["peers"] if "peak_mib" in peer), {})
        rows.append([record["title"], str(record["peak_mib"]), str(peer.get("peak_mib", "")),
                     f"{stated:.0%}" if stated else "", shown])  # fmt: skip
    heads = ("work", "hfkit, MiB", "peer, MiB", "share of the stated bf16 peak", "longest kernels")
    return _table(heads, rows)


def _number(value: float | None) -> str:
    """
    >>> _number(1234.5), _number(12.34), _number(None)
    ('1,234', '12.3', '')
    """
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _goal(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _interval(found: Mapping[str, float | None]) -> str:
    value, low, high = (found[name] for name in ("value", "low", "high"))
    shown = _number(value)
    return shown if low is None else f"{shown} ({_number(low)}–{_number(high)})"


def _percent(found: Mapping[str, float | None]) -> str:
    """
    >>> _percent({"value": 0.512, "low": 0.5, "high": 0.53}), _percent({"value": 1, "low": None})
    ('51% (50–53%)', '100%')
    """
    value, low, high = (found.get(name) for name in ("value", "low", "high"))
    shown = f"{value:.0%}"
    return shown if low is None else f"{shown} ({low * 100:.0f}–{high:.0%})"


def between_markers(page: str) -> str:
    """What stands between the markers of a page."""
    return page.partition(BEGIN)[2].partition(END)[0].strip()


def write(results: Path = RESULTS, page: Path = PAGE) -> None:
    """Put the tables of a results file into a page."""
    text = page.read_text("utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{page} has no {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n\n{tables(read(results))}\n\n{END}{after}", "utf-8")
