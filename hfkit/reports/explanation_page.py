"""The page of `hfkit explain`: one file that asks nobody for anything, light or dark as the reader
has it, and as wide as a phone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hfkit.reports.markup import escaped

LEAST = 0.04  # share of the strongest word below which a word has no tint

STYLE = """
:root { color-scheme: light dark; --ink: #1c2127; --paper: #fbfbf9; --soft: #69717c;
  --line: #dfe1e4; --for: 22, 140, 76; --against: 207, 55, 66; --card: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --paper: #15181c; --soft: #9aa3ae;
  --line: #2d333b; --for: 61, 190, 118; --against: 239, 102, 110; --card: #1c2025; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 52rem; color: var(--ink);
  background: var(--paper); font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.3rem; margin: 0 0 .25rem; } h2 { font-size: 1.05rem; margin: 0; }
.soft { color: var(--soft); font-size: .875rem; margin: .25rem 0 0; }
section { background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: 1rem 1.1rem; margin-top: 1.25rem; }
.text { font-size: 1.15rem; line-height: 2; margin: .75rem 0; white-space: pre-wrap; }
.text b { font-weight: inherit; border-radius: .25rem; padding: .12em .18em; }
.role { color: var(--soft); font-size: .8rem; display: block; line-height: 1.2; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th { text-align: left; font-weight: 500; color: var(--soft); }
td, th { padding: .2rem .6rem .2rem 0; border-top: 1px solid var(--line); }
td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.bar { width: 45%; } td.bar i { display: block; height: .6rem; border-radius: .2rem; }
.legend b { font-weight: inherit; border-radius: .25rem; padding: .1em .4em; margin-right: .5em; }
.heads { overflow-x: auto; } .heads table { width: auto; font-size: .72rem; }
.heads td, .heads th { padding: .15rem .3rem; border: 0; white-space: nowrap; }
.heads td { min-width: 2.4rem; text-align: right; font-variant-numeric: tabular-nums; }
summary { cursor: pointer; margin-top: .75rem; }
"""


def page(told: Mapping[str, Any]) -> str:
    """The page of one explained answer, from what ``--json`` prints. Every text is escaped."""
    answer = ", ".join(
        f"{name}: {_plain(value)}" for name, value in told["prediction"].items()
        if not isinstance(value, dict)
    )  # fmt: skip
    sections = [_explanation(one) for one in told["explanations"]]
    sections += [_attention(one) for one in told.get("attention", ())]
    title = f"{told['task']}, explained"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
<title>{escaped(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{escaped(answer)}</h1>
<p class="soft">{escaped(told["model"])}, {escaped(told["task"])}</p>
<p class="soft legend"><b style="background: rgba(var(--for), .45)">for the answer</b>
<b style="background: rgba(var(--against), .45)">against it</b></p>
{"".join(sections)}
</body>
</html>
"""


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(
            f"{one['text']} ({one['label']})" if isinstance(one, Mapping) else str(one)
            for one in value
        )
    return str(value)


def _explanation(one: Mapping[str, Any]) -> str:
    words = one["words"]
    most = max((abs(word["attribution"]) for word in words), default=0.0) or 1.0
    roles = list(dict.fromkeys(word["role"] for word in words))
    texts = "".join(
        _text(role if len(roles) > 1 else "", [w for w in words if w["role"] == role], most)
        for role in roles
    )
    error = ""
    if one["relative_error"] is not None:
        error = f", {one['steps']} steps; the words sum up to it within {one['relative_error']:.2%}"
    return f"""<section>
<h2>{escaped(one["what"])}</h2>
<p class="soft">{one["value"]:.4g}; with every word masked {one["baseline"]:.4g}.
{escaped(one["method"])}{error}</p>
{texts}
<details><summary>Word by word</summary>
<table><tr><th>word</th><th></th><th>adds</th></tr>
{"".join(_bar(word, most) for word in words)}</table></details>
</section>
"""


def _tint(amount: float, most: float) -> str:
    """The background of an amount; nothing where it is small."""
    share = abs(amount) / most
    colour = "for" if amount >= 0 else "against"
    return f"rgba(var(--{colour}), {0.6 * share:.2f})" if share >= LEAST else "none"


def _text(role: str, words: Sequence[Mapping[str, Any]], most: float) -> str:
    parts = [f'<span class="role">{escaped(role)}</span>'] if role else []
    end = words[0]["start"] if words else 0
    for word in words:
        parts.append(" " if word["start"] > end else "")
        amount = word["attribution"]
        style = f'style="background: {_tint(amount, most)}" title="{amount:+.4g}"'
        parts.append(f"<b {style}>{escaped(word['text'])}</b>")
        end = word["end"]
    return f'<p class="text">{"".join(parts)}</p>'


def _bar(word: Mapping[str, Any], most: float) -> str:
    amount = word["attribution"]
    colour = "for" if amount >= 0 else "against"
    width = f"width: {100 * abs(amount) / most:.1f}%; background: rgb(var(--{colour}))"
    return (
        f'<tr><td>{escaped(word["text"])}</td><td class="bar"><i style="{width}"></i></td>'
        f'<td class="n">{amount:+.4g}</td></tr>\n'
    )


def _attention(one: Mapping[str, Any]) -> str:
    """A table for each head of each layer, in boxes that scroll."""
    note = f"The heads add {one['note']}." if one["note"] else "softmax(QKᵀ/√dₖ) of each head."
    tables = []
    for layer, heads in enumerate(one["layers"], start=1):
        for head, rows in enumerate(heads, start=1):
            tables.append(
                f"<details><summary>Layer {layer}, head {head}</summary>"
                f'<div class="heads">{_matrix(one["tokens"], rows)}</div></details>'
            )
    return f"""<section>
<h2>Attention</h2>
<p class="soft">{escaped(note)} Each row says how a token shares its attention out.</p>
{"".join(tables)}
</section>
"""


def _matrix(tokens: Sequence[str], rows: Sequence[Sequence[float]]) -> str:
    names = "".join(f"<th>{escaped(token)}</th>" for token in tokens)
    lines = []
    for token, values in zip(tokens, rows, strict=True):
        cells = "".join(
            f'<td style="background: rgba(var(--for), {0.7 * value:.2f})">{value:.2f}</td>'
            for value in values
        )
        lines.append(f"<tr><th>{escaped(token)}</th>{cells}</tr>")
    return f"<table><tr><th></th>{names}</tr>{''.join(lines)}</table>"
