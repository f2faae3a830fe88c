"""A finished run as a stranger may have it: what is taken along, without a trace of this machine.

The files are named one by one, so that what a later version of hfkit, or its user, puts into a run
stays at home. Settings are written anew with the last part of each path, and so is the card; then
the folder is sealed like a run of its own. What still holds a secret or a path is refused.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from hfkit import sealing
from hfkit.config import FinetuneConfig
from hfkit.errors import InputError, SafetyError
from hfkit.layers import dump
from hfkit.model.adapted import BASE
from hfkit.model.card import Card, CardScore, is_hub_id, render
from hfkit.redaction import redacted
from hfkit.registry import find_task, make_task
from hfkit.run.decisions import DECISIONS
from hfkit.run.finishing import TOLD, Finetuned
from hfkit.run.opening import SETTINGS, read_settings
from hfkit.run.output import RUN, SCORES

CARD = "README.md"
TAKEN = (
    "config.json", "generation_config.json", "model.safetensors", "model-*-of-*.safetensors",
    "model.safetensors.index.json", "tokenizer.json", "tokenizer_config.json",
    "special_tokens_map.json", "added_tokens.json", "vocab.txt", "vocab.json", "merges.txt",
    "bpe.codes", "spiece.model", "*.bpe.model", "tokenizer.model", "source.spm", "target.spm",
    "chat_template.jinja", "modules.json", "sentence_bert_config.json",
    "config_sentence_transformers.json", "1_Pooling/config.json", "adapter/*.json",
    "adapter/*.safetensors", "onnx/*", "openvino/*", DECISIONS, SCORES,
)  # fmt: skip
PATHS = ("train", "validation", "test", "model", "tokenizer", "config_file")
TEXTS = (".json", ".yaml", ".md", ".txt", ".jinja")
LONGEST_TEXT = 4 * 2**20  # bytes of a text that is searched: a larger one is a vocabulary
FEW = 20  # rows of a class below which its score says little


def stage_run(
    folder: Path, stage: Path, name: str, languages: Sequence[str], licence: str | None
) -> str:
    """Put into the empty folder `stage` what of the run may be given away; return its card.

    Raises `InputError` for what is no finished run, or is damaged, and `SafetyError` where a secret
    or a path of this machine would go along.
    """
    settings = _checked(folder)
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).as_posix()
        if path.is_file() and any(fnmatch(inside, pattern) for pattern in TAKEN):
            if not path.resolve().is_relative_to(folder.resolve()):
                raise SafetyError("a link that leads out of the run", place=str(path))
            (stage / inside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, stage / inside)
    public = settings.model_copy(
        update={key: _public(getattr(settings, key)) for key in PATHS} | {"output": None}
    )
    (stage / SETTINGS).write_text(f"# The settings of this run.\n\n{dump(public)}", "utf-8")
    run = sealing.read_json(folder / RUN) if (folder / RUN).is_file() else {}
    kept: dict[str, Any] = {key: run[key] for key in ("columns", "label_base") if key in run}
    sealing.write_json(stage / RUN, kept)
    manifest = sealing.read_json(folder / sealing.MANIFEST)
    scores = sealing.read_json(folder / SCORES)
    sealing.write_json(stage / SCORES, {**scores, "model": _public(str(scores.get("model")))})
    card = render(card_of(folder, public, manifest, name, languages, licence))
    (stage / CARD).write_text(card, "utf-8")
    _refuse_traces(folder, stage)
    facts = {key: value for key, value in manifest.items() if key != "files"}
    base = dict(facts.get("base_model") or {})
    facts["base_model"] = {**base, "name": _public(str(base.get("name")))}
    sealing.seal(stage, facts)
    return card


def card_of(
    folder: Path,
    settings: FinetuneConfig,
    manifest: Mapping[str, Any],
    name: str,
    languages: Sequence[str],
    licence: str | None,
) -> Card:
    """The card of a finished run, from what it has written down."""
    done = Finetuned.read(folder)
    task = make_task(settings.task or done.task, settings.options)
    task.restore(sealing.read_json(folder / "config.json"))
    data = dict(manifest.get("data") or {})
    decisions: dict[str, Any] = {}
    if (folder / DECISIONS).is_file():
        decisions = sealing.read_json(folder / DECISIONS)
    values = settings.model_dump()
    base = dict(manifest.get("base_model") or {})
    return Card(
        name=name,
        task=find_task(settings.task or done.task)[0],
        base_model=_public(str(base.get("name") or done.model)),
        base_revision=base.get("revision"),
        datasets=_sources(settings, data),
        data=data,
        scores=[
            CardScore(key, value, low, high, split, scores.count, scores.baseline.get(key))
            for split, scores in done.splits.items()
            for key, value in scores.values.items()
            for low, high in [scores.intervals.get(key, (None, None))]
        ],
        labels=task.labels,
        languages=languages,
        license=licence,
        settings={key: values[key] for key in TOLD} | settings.options,
        versions=dict(manifest.get("versions") or {}),
        auto_class=task.auto_class,
        adapter=(folder / BASE).is_file(),
        decisions=decisions,
        limits=limits_of(done, data, settings),
        repo=name if "/" in name else None,
    )  # fmt: skip


def limits_of(done: Finetuned, data: Mapping[str, Any], settings: FinetuneConfig) -> list[str]:
    """What the scores cannot say, as far as the run itself tells."""
    found = []
    rows = (data.get("train") or {}).get("rows")
    if rows is not None:
        found.append(f"It has learnt from {rows:,} rows; texts unlike them were not looked at.")
    if done.split == "validation":
        found.append("No test data: the scores are of the validation data that picked the weights, "
                     "and so a little too good.")  # fmt: skip
    if settings.max_length:
        found.append(f"A window holds {settings.max_length} tokens.")
    classes = [row for row in done.scores.tables.get("per_class", []) if "support" in row]
    rare = [str(row["label"]) for row in classes if int(row["support"]) < FEW]
    if rare:
        found.append(f"Fewer than {FEW} rows were there to judge: {', '.join(rare[:10])}.")
    if len(classes) > 1:
        worst = min(classes, key=lambda row: float(row["f1"]))
        found.append(f"It is weakest on `{worst['label']}`: F1 {float(worst['f1']):.2f} "
                     f"of {int(worst['support'])} rows.")  # fmt: skip
    return found


def _checked(folder: Path) -> FinetuneConfig:
    """The settings of a run that is finished and whole."""
    if not folder.is_dir():
        raise InputError("no such folder", place=str(folder))
    settings = read_settings(folder) if (folder / sealing.MANIFEST).is_file() else None
    if settings is None:
        raise InputError(
            "not a finished run", place=str(folder), hint="`hfkit models ls` lists those that are"
        )
    wrong = sealing.damage(folder)
    if wrong is not None:
        raise InputError(f"damaged: {wrong}", place=str(folder), hint="fine-tune it again")
    if (folder / BASE).is_file():
        base = str(sealing.read_json(folder / sealing.MANIFEST)["base_model"]["name"])
        if not is_hub_id(base):
            raise InputError(
                "an adapter on a model that lies on this machine alone", place=str(folder),
                hint="fine-tune it with --merge, and push that",
            )  # fmt: skip
    return settings


def _sources(settings: FinetuneConfig, data: Mapping[str, Any]) -> list[str]:
    """The data sets by the names the Hub has for them, else the names of the files."""
    named = [str(part).partition("@")[0].partition(":")[0] for part in (settings.train,) if part]
    files = [str(facts.get("source")) for facts in data.values()]
    return [name for name in named if is_hub_id(name)] or list(dict.fromkeys(files))


def _public(value: Any) -> Any:
    """A setting as others may see it: of a path the last part alone.

    >>> _public("/home/anna/reviews.csv"), _public("org/name"), _public("0.1")
    ('reviews.csv', 'org/name', '0.1')
    """
    if not isinstance(value, str) or is_hub_id(value.partition("@")[0].partition(":")[0]):
        return value
    if "/" not in value and "\\" not in value:
        return value
    return redacted(PureWindowsPath(PurePosixPath(value).name).name)


def _refuse_traces(folder: Path, stage: Path) -> None:
    """Refuse a text with a secret, or with a path of this machine."""
    places = {str(folder.resolve()), str(Path.cwd()), str(Path.home())}
    places = {place for place in places if len(place) > 4 and place.count("/") > 1}
    for path in sorted(stage.rglob("*")):
        if path.suffix not in TEXTS or path.stat().st_size > LONGEST_TEXT:
            continue
        text = path.read_text("utf-8", errors="replace")
        name = path.relative_to(stage).as_posix()
        if redacted(text) != text:
            raise SafetyError("holds a secret, an access token or a key", place=name)
        if any(place in text for place in places):
            hint = "take it out of the run, and seal it by training again"
            raise SafetyError("names a path of this machine", place=name, hint=hint)
