"""`hfkit models`: which base model to take, from a table that ships; which runs lie here."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hfkit import sealing
from hfkit.catalogue import KINDS, MULTILINGUAL, Entry, Score, entries
from hfkit.errors import HfkitError, InputError, did_you_mean
from hfkit.registry import TASKS, find_task
from hfkit.run.output import RUN, SCORES

ROWS, LENGTH = 16, 128  # the batch that has to fit
OF_CPU = 16 * 10**9  # bytes of an ordinary machine
SLOW = 150_000_000  # parameters from which on a training on a CPU takes hours
LIBRARIES = 600 * 10**6  # bytes of a process on a CPU, of a context on a GPU
LANGUAGES = {
    "arabic": "ar", "chinese": "zh", "czech": "cs", "danish": "da", "dutch": "nl", "english": "en",
    "finnish": "fi", "french": "fr", "german": "de", "greek": "el", "hindi": "hi", "italian": "it",
    "japanese": "ja", "korean": "ko", "polish": "pl", "portuguese": "pt", "russian": "ru",
    "spanish": "es", "swedish": "sv", "turkish": "tr", "ukrainian": "uk", "vietnamese": "vi",
}  # fmt: skip
FREE = 0.9  # of a device's memory
MEMORY = re.compile(r"(\d{1,4})\s*g(i?b)?", re.IGNORECASE)
SHOWN = 5
# Flags of a training, the best way first; what follows makes it smaller.
WAYS = ("", "--lora r=16", "--lora r=16 --gradient-checkpointing")
ADAPTED = 0.01  # of the parameters, about, learn with adapters


@dataclass(frozen=True)
class Recommended:
    """A base model, what a training of it takes (bytes), and why it stands where it does."""

    entry: Entry
    memory_bytes: int
    flags: str
    score: Score | None
    reason: str

    @property
    def name(self) -> str:
        """Its name on the Hub."""
        return self.entry.name

    def to_json(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        entry = self.entry
        return {
            "model": entry.name,
            "parameters": entry.parameters,
            "languages": list(entry.languages),
            "licence": entry.licence,
            "commercial": entry.commercial,
            "context": entry.context,
            "year": entry.year,
            "memory_bytes": self.memory_bytes,
            "flags": self.flags,
            "score": asdict(self.score) if self.score else None,
            "reason": self.reason,
        }


def recommend(
    task: str, language: str = "en", device: str = "cpu", *, commercial: bool = False
) -> list[Recommended]:
    """Rank base models that fit the device and read the language, the best one first.

    `device` is cpu or the memory of a GPU, as 8GB. Raises `InputError` for what is not understood,
    and where nothing fits.
    """
    found = find_task(task)[0]
    if found not in KINDS:
        raise InputError(f"no models are known for {task}", hint=did_you_mean(task, TASKS))
    language = code_of(language)
    room = room_of(device)
    purpose = find_task(task)[2].get("purpose")
    fitting = []
    for entry in entries():
        if not _suits(entry, found, purpose, language) or (commercial and not entry.commercial):
            continue
        for way in WAYS:
            takes = memory(entry, way)
            if takes <= room * FREE:
                fitting.append((entry, takes, way))
                break
    if not fitting:
        message = f"no model of the table for {task} in {language} fits into {device}"
        raise InputError(message, hint="give more memory, or take one with -m and --lora")
    on_cpu = device.lower() == "cpu"
    fitting.sort(
        key=lambda one: (
            on_cpu and is_slow(one[0]),
            WAYS.index(one[2]),
            *_order(one[0], found, purpose, language),
        )
    )
    return [
        Recommended(
            entry, takes, way, entry.score(language), _reason(entry, takes, language, device, way)
        )
        for entry, takes, way in fitting[:SHOWN]
    ]


def code_of(language: str) -> str:
    """The code of a language that is given by its code or by its English name.

    >>> code_of("English"), code_of("ZH"), code_of("multilingual")
    ('en', 'zh', 'multilingual')
    """
    code = LANGUAGES.get(language.lower(), language.lower())
    if not re.fullmatch(r"[a-z]{2,3}|multilingual", code):
        wanted = "expected a code as en, zh, de, or multilingual"
        raise InputError(f"{wanted}; got '{language}'", place="--language")
    return code


def room_of(device: str) -> int:
    """Bytes of a device.

    >>> room_of("24GB"), room_of("cpu")
    (24000000000, 16000000000)
    """
    if device.lower() == "cpu":
        return OF_CPU
    match = MEMORY.fullmatch(device.strip())
    if match is None or not int(match[1]):
        raise InputError(f"expected cpu, or memory as 8GB; got '{device}'", place="--device")
    return int(match[1]) * 10**9


def memory(entry: Entry, flags: str = "") -> int:
    """About the bytes that a training of 16 x 128 tokens takes, in fp32 with AdamW.

    The table has the shape of a model and not its configuration, by which `hfkit estimate` goes; so
    this is a formula: 4 bytes a parameter, 12 for each that learns (gradient, two moments), and per
    token and layer

        136 x hidden size + 10 x attention heads x length

    The form is equation 1 of Korthikanti et al. 2022 (arXiv 2205.05198), which gives 68 and 10 in
    fp32; the first is doubled for what backward holds besides. Where activations are computed
    again, those of one layer are there at a time, and the hidden states between the layers.
    """
    layers, width, heads = entry.shape
    learning = round(entry.parameters * ADAPTED) if flags else entry.parameters
    of_layer = 136 * width + 10 * heads * LENGTH
    of_token = layers * of_layer
    if "checkpointing" in flags:
        of_token = of_layer + layers * 4 * width
    return LIBRARIES + 4 * entry.parameters + 12 * learning + ROWS * LENGTH * of_token


def _suits(entry: Entry, task: str, purpose: str | None, language: str) -> bool:
    """Whether a model learns the task and reads the language; "multilingual" means many."""
    if entry.kind not in KINDS[task] or task in entry.unfit:
        return False
    if entry.purpose and entry.purpose != purpose and purpose is not None:
        return False
    return entry.multilingual if language == MULTILINGUAL else entry.covers(language)


def _order(entry: Entry, task: str, purpose: str | None, language: str) -> tuple[Any, ...]:
    """What sorts: the fitting kind, made for the purpose, a licence without restrictions, a
    published figure, its height; then the newer and the larger one."""
    score = entry.score(language)
    own = language != MULTILINGUAL and language in entry.languages and not entry.multilingual
    return (
        KINDS[task].index(entry.kind),
        entry.purpose is not None and entry.purpose != purpose,
        entry.commercial is False,
        score is None,
        -score.value if score else 0,
        not own,
        -entry.year,
        -entry.parameters,
    )


def _reason(entry: Entry, takes: int, language: str, device: str, flags: str) -> str:
    way = f"a training with {flags}" if flags else "a training"
    slow = ", slowly" if device.lower() == "cpu" and is_slow(entry) else ""
    parts = [
        f"fits: {way} of {ROWS} x {LENGTH} tokens takes about {takes / 1e9:.1f} GB of "
        f"{room_of(device) / 1e9:.0f}{slow}",
        f"{entry.parameters / 1e6:,.0f}M parameters",
    ]
    if entry.multilingual:
        known = language in (MULTILINGUAL, *entry.languages)
        named = "" if known else f"; see whether {language} is one"
        parts.append(f"reads {entry.count or 'many'} languages{named}")
    else:
        parts.append(f"made for {', '.join(entry.languages)}")
    score = entry.score(language)
    parts.append(f"{score.benchmark} {score.value:g} ({score.source})" if score else
                 "no figure to compare by is known")  # fmt: skip
    licence = entry.licence or "see its page"
    warning = " (NOT for commercial use)" if entry.commercial is False else ""
    parts += [f"licence {licence}{warning}", f"up to {entry.context:,} tokens, {entry.year}"]
    return "; ".join(parts)


def is_slow(entry: Entry) -> bool:
    """Whether a training on a CPU takes hours: by the parameters beside the embeddings."""
    layers, width, _ = entry.shape
    return layers * 12 * width * width > SLOW


@dataclass(frozen=True)
class LocalRun:
    """A run on this disk. `split` says what the score was measured on, `date` when its training
    ended (UTC), or when an unfinished one was last written to; `state` is "sealed", "changed" where
    a file has another size than it was sealed with, or "unfinished"."""

    run: str
    task: str
    base_model: str
    score_name: str
    score: float | None
    split: str
    date: str
    bytes: int
    state: str

    def to_json(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        return asdict(self)


def local_runs(folder: str | Path = ".") -> list[LocalRun]:
    """The runs under a folder, the newest one first. Hashes are not compared: `hfkit verify` does.

    Raises `InputError` where there is no such folder.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise InputError("no such folder", place=str(folder))
    found = [_run(path, root) for path in _run_folders(root)]
    return sorted(found, key=lambda one: one.date, reverse=True)


def _run_folders(root: Path) -> Iterator[Path]:
    """Folders that hold a run's description; nothing inside them is looked at."""
    for path, folders, files in os.walk(root):
        if RUN in files:
            folders.clear()
            yield Path(path)
        folders[:] = sorted(name for name in folders if not name.startswith("."))


def _run(folder: Path, root: Path) -> LocalRun:
    manifest = _object(folder / sealing.MANIFEST)
    scores = _object(folder / SCORES)
    settings = _object(folder / RUN).get("identity")
    split, name, value = _headline(scores)
    files = [path for path in folder.rglob("*") if path.is_file()]
    listed = manifest.get("files")
    sealed = listed if isinstance(listed, dict) else {}
    whole = all(_size(folder / part) == facts.get("size") for part, facts in sealed.items())
    state = ("sealed" if whole else "changed") if manifest else "unfinished"
    base = manifest.get("base_model") or {}
    told = settings if isinstance(settings, dict) else {}
    return LocalRun(
        run=str(folder if str(root) != "." else folder.relative_to(root)),
        task=str(manifest.get("task") or told.get("task") or ""),
        base_model=str(base.get("name") or told.get("model") or ""),
        score_name=name,
        score=value,
        split=split,
        date=_ended(folder, manifest, files).strftime("%Y-%m-%d %H:%M"),
        bytes=sum(path.stat().st_size for path in files),
        state=state,
    )


def _ended(folder: Path, manifest: dict[str, Any], files: list[Path]) -> datetime:
    """When the training ended. Runs of older versions do not say so: their scores were written
    then, and what came later, as an export, left these alone."""
    try:
        return datetime.fromisoformat(manifest["finished"]).astimezone(UTC)
    except (KeyError, TypeError, ValueError):
        scores = folder / SCORES
        dated = [scores] if manifest and scores in files else files
        times = [path.stat().st_mtime for path in dated or [folder]]
        return datetime.fromtimestamp(max(times), UTC)


def _headline(saved: dict[str, Any]) -> tuple[str, str, float | None]:
    """The first score of the test data, else of the validation data; with the part."""
    splits = saved.get("scores")
    if not isinstance(splits, dict) or not splits:
        return "", "", None
    split = "test" if splits.get("test") else str(next(iter(splits)))
    scores = splits[split]
    values = scores.get("values") or scores
    name = str(scores.get("headline") or next(iter(values), ""))
    value = values.get(name)
    return split, name, float(value) if isinstance(value, int | float) else None


def _object(path: Path) -> dict[str, Any]:
    """A file of a run, or nothing: a damaged run is listed all the same."""
    try:
        return dict(sealing.read_json(path)) if path.is_file() else {}
    except (HfkitError, ValueError, TypeError):
        return {}


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
