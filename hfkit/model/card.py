"""The model card: README.md with the front matter the Hub reads, and what a stranger wants to know.

The card states what was measured and done, and says "not stated" where nobody told it. It holds no
text of the data and no path of this machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from hfkit import sealing
from hfkit.model.locate import HUB_ID
from hfkit.redaction import redacted
from hfkit.registry import example_of

# Tasks by the names the Hub has for them.
PIPELINE_TAGS = {
    "classification": "text-classification",
    "ner": "token-classification",
    "qa": "question-answering",
    "similarity": "sentence-similarity",
    "text2text": "text2text-generation",
    "generation": "text-generation",
    "mlm": "fill-mask",
}
# Classes of hfkit's own, and what their folders load as.
LOADED_AS = {
    "MaskedWords": "AutoModelForMaskedLM",
    "Pretraining": "AutoModelForPreTraining",
    "Generator": "AutoModelForCausalLM",
    "Writer": "AutoModelForSeq2SeqLM",
}
LIMITS = """## Intended use and limits

Not stated. The scores above hold for data like the data they were measured on; how the model does
on other texts, and for whom it errs, was not measured.
"""


@dataclass(frozen=True)
class CardScore:
    """One measured score: a fraction or a number, with its 95 % interval if it was computed."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    split: str = "validation"
    rows: int | None = None
    baseline: float | None = None


@dataclass(frozen=True)
class Card:
    """What the card tells. `base_model` and `datasets` may be names or paths; of a path only the
    last part is shown. `settings` are shown as they are, without None; `data` is what the manifest
    says of each part (source, rows, sha256), `decisions` what decisions.json holds, `limits` are
    sentences, and `repo` is where the model lies on the Hub."""

    name: str
    task: str
    base_model: str
    base_revision: str | None = None
    datasets: Sequence[str] = ()
    rows: Mapping[str, int] = field(default_factory=dict)
    scores: Sequence[CardScore] = ()
    labels: Sequence[str] = ()
    languages: Sequence[str] = ()
    license: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    auto_class: str = "AutoModelForSequenceClassification"
    adapter: bool = False
    data: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    decisions: Mapping[str, Any] = field(default_factory=dict)
    limits: Sequence[str] = ()
    repo: str | None = None


def write_card(folder: Path, card: Card) -> Path:
    """Write README.md into the run's folder in one move and return its path."""
    path = folder / "README.md"
    sealing.write_bytes(path, render(card).encode())
    return path


def render(card: Card) -> str:
    """The card as Markdown with YAML front matter."""
    import yaml

    front = yaml.safe_dump(front_matter(card), sort_keys=False, allow_unicode=True)
    parts = [
        f"---\n{front}---\n",
        f"# {_shown(card.name)}\n",
        _summary(card),
        _scores(card),
        _usage(card),
        _data(card),
        _decisions(card),
        _settings("Settings", card.settings),
        _settings("Versions", card.versions),
        _limits(card),
    ]
    return "\n".join(part for part in parts if part)


def front_matter(card: Card) -> dict[str, Any]:
    """The Hub's metadata, with the scores as a model-index
    (https://huggingface.co/docs/hub/model-cards). What is not known is left out."""
    tag = PIPELINE_TAGS.get(card.task, card.task)
    public = [name for name in card.datasets if is_hub_id(name)]
    front: dict[str, Any] = {
        "language": list(card.languages),
        "license": card.license,
        "library_name": _library(card),
        "pipeline_tag": tag,
        "base_model": card.base_model if is_hub_id(card.base_model) else None,
        "datasets": public,
        "tags": ["hfkit", tag],
        "metrics": list(dict.fromkeys(score.name for score in card.scores)),
        "model-index": _model_index(card, tag),
    }
    return {key: value for key, value in front.items() if value}


def _library(card: Card) -> str:
    if card.adapter:
        return "peft"
    return "sentence-transformers" if card.auto_class.endswith(":Embedder") else "transformers"


def _model_index(card: Card, tag: str) -> list[dict[str, Any]]:
    """One result per split, as the Hub groups them."""
    results = []
    for split in dict.fromkeys(score.split for score in card.scores):
        metrics = [
            {"type": score.name, "value": round(score.value, 6), "name": score.name}
            for score in card.scores
            if score.split == split
        ]
        data = _measured_on(card, split)
        dataset = {"type": data, "name": data, "split": split}
        results.append({"task": {"type": tag}, "dataset": dataset, "metrics": metrics})
    return [{"name": _shown(card.name), "results": results}] if results else []


def _measured_on(card: Card, split: str) -> str:
    """The data of a part: by their name on the Hub where they have one, else that of the file."""
    source = str(card.data.get(split, {}).get("source") or "")
    for name in card.datasets:
        if not source or _bare(name) == _bare(source):
            return _shown(name)
    return _shown(source) or "not stated"


def _bare(source: str) -> str:
    """A name without its folder or owner, revision and split.

    >>> _bare("org/reviews@main:test"), _bare("../reviews.csv")
    ('reviews', 'reviews.csv')
    """
    return PurePath(source.partition("@")[0].partition(":")[0]).name


def _summary(card: Card) -> str:
    base = f"`{_shown(card.base_model)}`"
    if card.base_revision:
        base += f" (revision `{_shown(card.base_revision)}`)"
    text = f"A model for {card.task}, fine-tuned from {base} with hfkit.\n"
    if card.adapter:
        text += "\nThe folder holds an adapter (LoRA), which needs the weights of that model.\n"
    if card.labels:
        names = ", ".join(f"`{_shown(label)}`" for label in card.labels[:40])
        more = f" and {len(card.labels) - 40} more" if len(card.labels) > 40 else ""
        text += f"\nLabels: {names}{more}.\n"
    return text


def _scores(card: Card) -> str:
    if not card.scores:
        return "## Scores\n\nNot measured.\n"
    lines = [
        "## Scores\n",
        "| split | rows | score | value | 95 % interval | baseline |",
        "|---|--:|---|--:|---|--:|",
    ]
    for score in card.scores:
        interval = "not computed"
        if score.low is not None and score.high is not None:
            interval = f"{score.low:.4f} to {score.high:.4f}"
        rows = "" if score.rows is None else f"{score.rows:,}"
        lines.append(f"| {score.split} | {rows} | {score.name} | {score.value:.4f} | {interval} |"
                     f" {'' if score.baseline is None else f'{score.baseline:.4f}'} |")  # fmt: skip
    told = "\nBaseline: an answer that takes no learning, as the most frequent label." if any(
        score.baseline is not None for score in card.scores
    ) else ""  # fmt: skip
    return "\n".join(lines) + f"\n{told}".rstrip("\n") + "\n"


def _usage(card: Card) -> str:
    example = example_of(card.task)
    command = f"hfkit predict {card.repo or 'FOLDER'} {example}"
    return f"## How to use it\n\n```sh\n{command}\n```\n\n{_python(card)}"


def _python(card: Card) -> str:
    """How other libraries load the folder."""
    name = card.auto_class.rpartition(":")[2]
    name = LOADED_AS.get(name, name)
    if card.adapter:
        name = {"Embedder": "AutoModel"}.get(name, name)
        lines = ["from peft import PeftModel", f"from transformers import AutoConfig, {name}", ""]
        lines += ['config = AutoConfig.from_pretrained("FOLDER")']
        lines += [f'base = {name}.from_pretrained("BASE", config=config)']
        lines += ['model = PeftModel.from_pretrained(base, "FOLDER/adapter")']
    elif name == "Embedder":
        lines = ["from sentence_transformers import SentenceTransformer", ""]
        lines += ['model = SentenceTransformer("FOLDER")', 'vectors = model.encode(["a text"])']
    else:
        lines = [f"from transformers import {name}, AutoTokenizer", ""]
        lines += [f'model = {name}.from_pretrained("FOLDER")']
        lines += ['tokenizer = AutoTokenizer.from_pretrained("FOLDER")']
    code = "\n".join(["```python", *lines, "```"]) + "\n"
    return code.replace('"BASE"', f'"{_shown(card.base_model)}"').replace(
        "FOLDER", card.repo or "FOLDER"
    )


def _decisions(card: Card) -> str:
    """What was fitted after the training, and on what."""
    fitted = card.decisions.get("decisions") or {}
    if not fitted:
        return ""
    on = card.decisions.get("fitted_on") or {}
    lines = [f"| {name.replace('_', ' ')} | {_shown(value)} |" for name, value in fitted.items()]
    where = f"Fitted on {on['rows']:,} rows of `{_shown(on['data'])}`." if on else ""
    table = ["| decision | value |", "|---|---|", *lines]
    note = f"{where} `hfkit predict` goes by them; other libraries do not read decisions.json."
    return "\n".join(["## Decisions\n", *table, "", note.strip()]) + "\n"


def _limits(card: Card) -> str:
    if not card.limits:
        return LIMITS
    return "\n".join([LIMITS, *(f"* {_plain(limit)}" for limit in card.limits)]) + "\n"


def _plain(text: str) -> str:
    """A sentence on one line, without secrets."""
    return redacted("".join(mark if mark.isprintable() else " " for mark in text))


def _parts(card: Card) -> list[str]:
    """The parts of the data, with what tells a changed one from the one that was used."""
    if not card.data:
        return []
    lines = ["| part | source | rows | SHA-256 |", "|---|---|--:|---|"]
    for name, facts in card.data.items():
        digest = str(facts.get("sha256") or "")
        rows = facts.get("rows")
        count = f"{rows:,}" if isinstance(rows, int) else ""
        lines.append(f"| {name} | `{_shown(facts.get('source'))}` | {count} | `{digest[:16]}…` |")
    return ["", *lines]


def _data(card: Card) -> str:
    names = ", ".join(f"`{_shown(name)}`" for name in card.datasets) or "not stated"
    rows = "; ".join(f"{count:,} rows for {split}" for split, count in card.rows.items())
    licence = card.license or "not stated"
    told = f"{names}{f' ({rows})' if rows else ''}.\nLicence of the model: {licence}."
    return "\n".join(["## Data\n", told, *_parts(card)]) + "\n"


def _settings(title: str, settings: Mapping[str, Any]) -> str:
    known = {key: value for key, value in settings.items() if value is not None and value != {}}
    if not known:
        return ""
    lines = [f"| {key} | {_shown(value)} |" for key, value in known.items()]
    return "\n".join([f"## {title}\n", "| setting | value |", "|---|---|", *lines]) + "\n"


def is_hub_id(name: str) -> bool:
    """Only ``org/name`` counts: a bare name is more likely a file here."""
    fits = HUB_ID.fullmatch(name) is not None and name.count("/") == 1
    return fits and not PurePath(name).suffix and not Path(name).exists()


def _shown(value: Any) -> str:
    """A value fit for a table: no secret, no column border, and of a path its last part only."""
    if isinstance(value, list | tuple):
        return ", ".join(_shown(item) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_shown(item)}" for key, item in value.items())
    text = str(value)
    if "/" in text and not is_hub_id(text):
        text = PurePath(text).name or text
    text = redacted(text)
    return "".join(mark if mark.isprintable() else " " for mark in text).replace("|", "\\|")
