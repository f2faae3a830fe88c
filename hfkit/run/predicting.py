"""From an opened run to a predictor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hfkit import garbage
from hfkit.errors import InputError
from hfkit.hashing import sha256
from hfkit.run.output import hash_of
from hfkit.train import launch

if TYPE_CHECKING:
    from hfkit.config import EvaluateConfig, PredictConfig, ScoreConfig
    from hfkit.infer.engine import Engine
    from hfkit.infer.predictor import Predictor
    from hfkit.infer.server import ServerPredictor
    from hfkit.run.opening import Opened


# Settings that the answers to the rows do not depend on, or that `model` and the rows stand for.
NEUTRAL = (
    "model", "inputs", "output", "resume", "overwrite", "offline", "quiet", "verbose", "debug",
    "error_format", "config", "set",
)  # fmt: skip


def make_predictor(
    opened: Opened, config: EvaluateConfig | PredictConfig, *, once: bool = False
) -> Predictor | ServerPredictor:
    """Load the model and put it behind an engine, or a server in its place; `once`: for a single
    row. Raises what `load_for_prediction` does."""
    from hfkit.infer.predictor import Predictor
    from hfkit.run.engines import Wanted, open_engine

    if opened.endpoint is not None or opened.tokenizer is None:
        garbage.usual()
        return _of_server(opened, config)
    task = opened.task
    if launch.inside():
        raise InputError(
            "several processes would each write all rows",
            hint="start one, with --num-processes N",
        )
    folder, device = opened.folder, config.device
    wanted = Wanted(
        folder, task.auto_class, task.head(), device, opened.name, code=opened.code, once=once,
        hashes=opened.hashes,
    )  # fmt: skip
    engine: Engine
    if config.num_processes > 1:
        from hfkit.run.processes import Workers

        engine = Workers(config.num_processes, wanted, config)
        garbage.usual()
    else:
        engine = open_engine(wanted, config)
    return Predictor(opened.task, opened.tokenizer, engine, config.batch_size, config.batch_tokens)


def _of_server(opened: Opened, config: EvaluateConfig | PredictConfig) -> ServerPredictor:
    from hfkit.infer.endpoint import EndpointPredictor
    from hfkit.infer.endpoint_writer import EndpointWriter
    from hfkit.infer.server import AT_ONCE

    makes = EndpointWriter if hasattr(opened.task, "messages") else EndpointPredictor
    return makes(
        opened.task,
        opened.name,
        opened.endpoint or "",
        offline=config.offline,
        at_once=config.batch_size or AT_ONCE,
    )


def fingerprint(opened: Opened, config: PredictConfig, format: str) -> dict[str, Any]:
    """What a file of predictions depends on beside its rows: settings, the model, the documents,
    versions and threads."""
    return {
        **settings_of_answers(config, format),
        "the model": digest_of_model(opened.folder) if opened.endpoint is None else opened.name,
        "the documents": _digest(Path(config.documents)) if config.documents else "",
    }


def settings_of_answers(config: PredictConfig | ScoreConfig, format: str) -> dict[str, Any]:
    """What answers depend on beside rows and model: settings, versions and threads."""
    from hfkit.processor import cores
    from hfkit.run.machine import machine

    return {
        **config.model_dump(mode="json", exclude=set(NEUTRAL)),
        "format": format,
        "threads": config.threads or cores(),
        "the versions": machine()["versions"],
    }


def digest_of_model(folder: Path) -> str:
    """One hash of the files that answers come from: weights as the manifest knows them."""
    from hfkit.run.exported import KINDS, REPORT, model_files
    from hfkit.run.opening import DECISIVE

    small = [*DECISIVE, *(f"{kind}/{REPORT}" for kind in KINDS)]
    found = {name: sha256(folder / name) for name in small if (folder / name).is_file()}
    return hash_of({**found, **model_files(folder)})


def _digest(documents: Path) -> str:
    """One hash of a file, or of all files below a folder."""
    files = sorted(p for p in documents.rglob("*") if p.is_file()) or [documents]
    return hash_of({str(p.relative_to(documents)): sha256(p) for p in files if p.is_file()})
