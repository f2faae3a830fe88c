"""`hfkit estimate`: parameters, memory and, where it is asked for, time, before anything is run."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from hfkit.config import EstimateConfig, FinetuneConfig
from hfkit.errors import InputError
from hfkit.model import gate, lora
from hfkit.model.locate import locate_config
from hfkit.model.scratch import shape_of
from hfkit.processor import cores, has_accelerator, precision_for, this_processor
from hfkit.registry import find_task, make_task
from hfkit.run.opening import TASK_OF_HEAD, read_settings
from hfkit.run.sizing import Asked, Sized, head_of, sized

if TYPE_CHECKING:
    from hfkit.model.footprint import Skeleton
    from hfkit.tasks.base import Task

log = logging.getLogger(__name__)

USUAL_LENGTH = 512


@dataclass(frozen=True)
class Estimated:
    """What a model takes. `learning` counts the parameters that a training changes; `device` is
    what the figures are for: on "cuda" they are computed and were not measured."""

    model: str
    task: str
    parameters: int
    learning: int
    precision: str
    optimizer: str
    device: str
    sizes: tuple[Sized, ...]

    @property
    def measured(self) -> bool:
        """Whether such figures were compared with what processes take."""
        return self.device == "cpu"

    def to_json(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        return {
            "model": self.model,
            "task": self.task,
            "parameters": self.parameters,
            "learning": self.learning,
            "precision": self.precision,
            "optimizer": self.optimizer,
            "device": self.device,
            "compared_with_measured_peaks": self.measured,
            "sizes": [size.to_json() for size in self.sizes],
        }


def estimate(config: EstimateConfig) -> Estimated:
    """Tell what a model takes, from its configuration alone.

    Raises `InputError` for a name that leads nowhere, and sizes that the model cannot have.
    """
    with TemporaryDirectory(prefix="hfkit-estimate-") as scratch:
        folder = _described(config, Path(scratch))
        saved = read_settings(Path(config.model)) if config.model else None
        described = gate.read_config(folder)
        task = _task(config, saved, described)
        return _estimated(config, saved, folder, task, described)


def _estimated(
    config: EstimateConfig,
    saved: FinetuneConfig | None,
    folder: Path,
    task: Task[Any],
    described: dict[str, Any],
) -> Estimated:
    from hfkit.model.facts import longest_of

    device = _device(config)
    made = _made(config, saved, folder, task, described, device)
    longest = longest_of(folder, described)
    lengths = _numbers(
        config.max_length or str((saved and saved.max_length) or min(longest, USUAL_LENGTH)),
        "--max-length",
    )
    if max(lengths) > longest:
        message = f"{max(lengths)} tokens are more than the model reads ({longest})"
        raise InputError(message, place="--max-length")
    precision = _precision(config, device)
    optimizer = config.optim or (saved.optim if saved else "adamw")
    found = []
    for batch_size in _numbers(config.batch_size, "--batch-size"):
        for length in lengths:
            asked = Asked(
                rows=min(batch_size, config.micro_batch or batch_size) * _texts(task),
                length=length,
                target_length=config.max_target_length,
                half=precision != "fp32",
                optim=optimizer,
                recomputed=config.gradient_checkpointing,
                unpad=config.unpad,
                threads=cores(),
            )
            size = sized(made, task, asked, batch_size=batch_size)
            if config.measure:
                size = _timed(config, folder, task, asked, size)
            found.append(size)
    name = config.model or f"{described['model_type']}-{config.config_size}"
    task_name = find_task(config.task or (saved.task if saved else "") or _kind(described))[0]
    return Estimated(
        name, task_name, made.parameters, made.learning, precision, optimizer, device, tuple(found)
    )


def _described(config: EstimateConfig, scratch: Path) -> Path:
    """A folder that holds the config.json of the model."""
    if (config.model is None) == (config.config_size is None):
        raise InputError("name one of them", place="--model and --config-size")
    if config.config_size is not None:
        named = find_task(config.task)[0] if config.task else ""
        family: Literal["bert", "gpt2"] = "gpt2" if named == "generation" else "bert"
        shape = {**shape_of(config.config_size, family), "vocab_size": config.vocab_size}
        (scratch / "config.json").write_text(json.dumps(shape), "utf-8")
        return scratch
    path = Path(str(config.model)).expanduser()
    if path.is_file():
        shutil.copyfile(path, scratch / "config.json")
        return scratch
    return locate_config(str(config.model), offline=config.offline)


def _task(
    config: EstimateConfig, saved: FinetuneConfig | None, described: dict[str, Any]
) -> Task[Any]:
    name = config.task or (saved.task if saved else None)
    if name is None:
        name = _kind(described)
        log.info("no task named; taking %s for a %s; override with -t", name,
                 described["model_type"])  # fmt: skip
    options = dict(saved.options) if saved and not config.task else {}
    task = make_task(name, options)
    task.build_on(described)
    return task


def _kind(described: dict[str, Any]) -> str:
    """What a model of this kind mostly learns."""
    architecture = str((described.get("architectures") or [""])[0])
    if described.get("is_encoder_decoder"):
        return "text2text"
    found = next((t for end, t in TASK_OF_HEAD.items() if architecture.endswith(end)), "")
    # Encoders lie on the Hub with the head of their pre-training, and learn to classify mostly.
    return found if found in ("ner", "qa", "generation", "text2text") else "classification"


def _made(
    config: EstimateConfig,
    saved: FinetuneConfig | None,
    folder: Path,
    task: Task[Any],
    described: dict[str, Any],
    device: str,
) -> Skeleton:
    from hfkit.model.adapters import freeze
    from hfkit.model.footprint import adapt, skeleton

    head = head_of(task, described)
    made = skeleton(folder, task.auto_class, head, fused=device == "cuda")
    adapters = config.lora or (saved.lora if saved else None)
    if adapters:
        adapt(made, lora.parse(adapters))
    elif config.freeze_embeddings or config.freeze_layers:
        freeze(made.model, [], embeddings=config.freeze_embeddings, layers=config.freeze_layers)
    return made


def _texts(task: Task[Any]) -> int:
    """Rows of the model for each row of data: both texts of a pair are read alone."""
    return 2 if task.grouped else 1


def _device(config: EstimateConfig) -> str:
    """What the figures are for; a GPU need not be here."""
    if config.device == "auto":
        return "cuda" if has_accelerator() else "cpu"
    return "cuda" if config.device in ("cuda", "mps") else "cpu"


def _precision(config: EstimateConfig, device: str) -> str:
    if config.precision != "auto":
        return config.precision
    return "bf16" if device == "cuda" else precision_for(this_processor())


def _numbers(text: str, place: str) -> list[int]:
    """The numbers of a setting that takes one or several.

    >>> _numbers("8,16", "--batch-size")
    [8, 16]
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and len(part) < 7 and int(part) for part in parts):
        raise InputError(f"expected numbers from 1, as 8 or 8,16; got '{text}'", place=place)
    return [int(part) for part in parts]


def _timed(
    config: EstimateConfig, folder: Path, task: Task[Any], asked: Asked, size: Sized
) -> Sized:
    """The same with the seconds that a step and an answer take on this machine."""
    from dataclasses import replace

    from hfkit.run.trial import seconds_of

    return replace(size, seconds=seconds_of(folder, task, asked, device=config.device))
