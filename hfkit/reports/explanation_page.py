"""The page of `hfkit explain`: one file that asks nobody for anything, light or dark as the reader
has it, and as wide as a phone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hfkit.reports.markup import escaped

LEAST = 0.04  # share of the strongest word below which a word has no tint
STRONGEST = 0.55  # tint: letters on it stay readable, light and dark
SHOWN = 6  # most entities or labels in a heading

STYLE = """
:root { color-scheme: light dark; --ink: #1c2127; --paper: #fbfbf9; --soft: #69717c;
  --line: #dfe1e4; --for: 22, 140, 76; --against: 207, 55, 66; --card: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --paper: #15181c; --soft: #9aa3ae;
  --line: #2d333b; --for: 46, 160, 98; --against: 214, 84, 94; --card: #1c2025; } }
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
.n { text-align: right; font-variant-numeric: tabular-nums; } td.n { white-space: nowrap; }
td:first-child { min-width: 5rem; }
td.bar { width: 42%; } td.bar i { display: block; height: .6rem; border-radius: .2rem; }
.legend { color: var(--ink); margin-top: .9rem; }
.legend b { font-weight: inherit; border-radius: .25rem; padding: .15em .5em; margin-right: .5em; }
.withheld { border-inline-start: .25rem solid rgb(var(--against)); padding-inline-start: .7rem; }
.heads { overflow-x: auto; } .heads table { width: auto; font-size: .72rem; }
.heads td, .heads th { padding: .15rem .3rem; border: 0; white-space: nowrap; }
.heads td { min-width: 2.4rem; text-align: right; font-variant-numeric: tabular-nums; }
summary { cursor: pointer; margin-top: .75rem; }
"""


def page(told: Mapping[str, Any]) -> str:
    """The page of one explained answer, from what ``--json`` prints. Every text is escaped."""
    answer, model = said(told["prediction"]), told["model"]
    sections = [_explanation(one) for one in told["explanations"]]
    sections += [_attention(one) for one in told.get("attention", ())]
    title = f"{model}: {answer}"
    notes = "".join(
        f'<p class="{"withheld" if told.get("abstained") and not place else "soft"}">'
        f"{escaped(note[:1].upper() + note[1:])}.</p>"
        for place, note in enumerate(told["notes"])
    )
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
<p class="soft">What {escaped(model)} answers ({escaped(told["task"])})</p>
{notes}
<p class="soft legend"><b style="background: rgba(var(--for), {STRONGEST})">speaks for it</b>
<b style="background: rgba(var(--against), {STRONGEST})">speaks against it</b></p>
{"".join(sections)}
</body>
</html>
"""


def said(answer: Mapping[str, Any]) -> str:
    """An answer as a person would say it, with how sure the model is.

    >>> said({"label": "spam", "score": 0.61}), said({"score": 1.482}), said({"entities": []})
    ('spam (score 0.61)', 'score 1.482', 'no entities')
    """
    if "entities" in answer:
        return _listed(
            [f"{one['text']} ({one['label']})" for one in answer["entities"]], "entities"
        )
    if "labels" in answer:
        scores = answer.get("scores") or {}
        sure = [f"{one} ({scores[one]:.3g})" if one in scores else one for one in answer["labels"]]
        return _listed(sure, "labels")
    if "value" in answer:
        return f"{answer['value']:.4g}"
    score = f"score {answer['score']:.4g}" if answer.get("score") is not None else ""
    if "label" in answer or "answer" in answer:
        text = answer.get("label") or answer.get("answer") or "no answer"
        return f"{text} ({score})" if score else str(text)
    return score


def _listed(names: Sequence[str], what: str) -> str:
    left = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + left if names else f"no {what}"


def _explanation(one: Mapping[str, Any]) -> str:
    words = one["words"]
    most = max((abs(word["attribution"]) for word in words), default=0.0) or 1.0
    roles = list(dict.fromkeys(word["role"] for word in words))
    texts = "".join(
        _text(role if len(roles) > 1 else "", [w for w in words if w["role"] == role], most)
        for role in roles
    )
    sums = one["relative_error"] is not None
    how = "each word is masked in turn; the changes need not sum up"
    if sums:
        how = f"{one['steps']} steps; the words sum up to the difference within "
        how += f"{one['relative_error']:.2%}"
    effect = "adds" if sums else "masked, lowers it by"
    what = one["what"][:1].upper() + one["what"][1:]
    return f"""<section>
<h2>{escaped(what)}</h2>
<p class="soft">{escaped(one["measure"])} {one["value"]:.4g}; with every word masked
{one["baseline"]:.4g}. {escaped(one["method"].capitalize())}: {how}.</p>
{texts}
<details><summary>Word by word</summary>
<table><tr><th>word</th><th></th><th class="n">{effect}</th></tr>
{"".join(_bar(word, most) for word in words)}</table></details>
</section>
"""


def _tint(amount: float, most: float) -> str:
    """The background of an amount; nothing where it is small."""
    share = abs(amount) / most
    colour = "for" if amount >= 0 else "against"
    return f"rgba(var(--{colour}), {STRONGEST * share:.2f})" if share >= LEAST else "none"


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
