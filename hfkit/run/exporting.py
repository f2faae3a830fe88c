"""A model as a file that needs no torch, in a folder of its own that appears whole.

What is written is compared with torch on rows, and what was measured is written beside it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hfkit import sealing
from hfkit.config import ExportConfig, FinetuneConfig, Int8Method
from hfkit.errors import InputError
from hfkit.registry import find_metric
from hfkit.run.exported import (
    CLOSE,
    GRAPH,
    KINDS,
    ONNX,
    OPENVINO,
    QUANTIZED,
    REPORT,
    Exported,
    Kind,
    model_files,
    read_exported,
    what_it_computes,
    write_tokenizer,
)
from hfkit.run.int8_rows import ROWS, part, spread

if TYPE_CHECKING:
    from hfkit.data.dataset import Dataset
    from hfkit.infer.engine import Arrays, Engine
    from hfkit.run.opening import Opened
    from hfkit.tasks.base import EncodedRow, Task

log = logging.getLogger(__name__)

MADE_UP = 48  # rows of as many lengths, where there are no data to compare on
COMPARED = 1000  # rows of the data at most, spread over all of them
PLAIN = ".plain.onnx"  # what torch writes; made into the files that stay
POINT = 0.01
PACKAGES = ("hfkit", "torch", "transformers")
NEEDED = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "openvino": ("openvino",)}


class Asked(NamedTuple):
    """For which `engine`, and what beside the model itself: `int8`, with this method, kept where it
    costs at most `tolerance` points of the task's score."""

    int8: Int8Method | None = None
    tolerance: float = 0.5
    engine: str = "onnx"


def check_packages(engine: str, place: str) -> None:
    """Raise `InputError` where a package that exporting for `engine` needs is not installed."""
    for name in NEEDED[engine]:
        if find_spec(name) is None:
            hint = f"pip install 'hfkit[{engine}]'"
            raise InputError(f"exporting needs {name}", place=place, hint=hint)


def check_exportable(task: Task[Any], place: str) -> None:
    """Raise `InputError` for a task that torch alone answers."""
    if task.only_torch:
        raise InputError(task.only_torch, place=place)


def export_run(folder: Path, config: FinetuneConfig, data: Dataset) -> None:
    """Export the finished run in `folder` that has these settings, compared with torch on `data`;
    one that was exported before stays as it is. Raises what `write_export` does."""
    from hfkit.run.opening import open_run

    engine = config.export or ONNX.name
    exported = read_exported(folder, KINDS[engine])
    if exported is not None:
        log.info("%s: exported already", exported.folder)
        return
    opened = open_run(str(folder), ExportConfig(task=config.task, offline=config.offline))
    write_export(folder, opened, data, Asked(engine=engine))


def write_export(folder: Path, opened: Opened, data: Dataset | None, asked: Asked) -> Exported:
    """Write an opened model for an engine into `folder` and tell what was measured on `data`.

    Without data the outputs are compared on made-up rows. Raises `InputError` for a model that
    cannot be exported.
    """
    from hfkit.run.opening import check_weights

    check_exportable(opened.task, str(folder))
    if opened.tokenizer is None or not opened.tokenizer.exportable:
        raise InputError(
            "its tokenizer exists in Python only, so that the model cannot be used without it",
            place=str(folder),
        )
    check_weights(opened.folder)
    kind = KINDS[asked.engine]
    if data is None:
        log.info("no rows to compare on are named; taking made-up ones")
    with sealing.staged(folder / kind.name, sealed=True) as stage:
        facts = _write(kind, stage, opened, data)
        if asked.int8 and data is not None:
            facts["int8"] = _write_int8(stage, opened, data, asked, facts["inputs"])
        _clear(stage)
        sealing.seal(stage, facts, name=REPORT)
    found = read_exported(folder, kind)
    assert found is not None
    _tell(found)
    return found


def _write(kind: Kind, stage: Path, opened: Opened, data: Dataset | None) -> dict[str, Any]:
    """Fill the folder `stage` and return what export.json says beside the hashes."""
    from hfkit.infer.torch_engine import TorchEngine
    from hfkit.model.export import inputs_of
    from hfkit.model.load import load_for_prediction

    assert opened.tokenizer is not None
    task = opened.task
    model = load_for_prediction(
        opened.folder, task.auto_class, task.head(), name=opened.name, code=opened.code
    )
    inputs = inputs_of(model, list(opened.tokenizer.padding))
    rows = _made_up(opened, model) if data is None else _encoded(opened, data)
    here = TorchEngine(model)
    outputs = list(here.run(_small(rows, opened)))
    write = _write_openvino if kind is OPENVINO else _write_onnx
    there = write(stage, model, inputs, outputs)
    source = "made up" if data is None else Path(data.source).name
    facts = {
        "computes": what_it_computes(opened.folder, task.auto_class, task.head()),
        "model": {"files": model_files(opened.folder)},
        "inputs": inputs,
        "outputs": outputs,
        "parity": {
            "difference": _difference(opened, rows, here, there),
            "rows": len(rows),
            "source": source,
        },
        "versions": {name: version(name) for name in (*PACKAGES, *NEEDED[kind.name])},
    }
    if opened.settings is None:  # of a run the tokenizer lies ready
        facts["tokenizer"] = write_tokenizer(stage, opened.folder, opened.tokenizer)
    return facts


def _write_onnx(stage: Path, model: Any, inputs: Sequence[str], outputs: Sequence[str]) -> Engine:
    from hfkit.infer.onnx_engine import OnnxEngine
    from hfkit.model.export import optimise, write_plain

    write_plain(stage / PLAIN, model, inputs, outputs)
    optimise(stage / PLAIN, stage / GRAPH)
    return OnnxEngine(stage / GRAPH)


def _write_openvino(
    stage: Path, model: Any, inputs: Sequence[str], outputs: Sequence[str]
) -> Engine:
    from hfkit.infer.openvino_engine import OpenvinoEngine
    from hfkit.model.export import write_openvino

    write_openvino(stage / OPENVINO.graph, model, inputs, outputs)
    return OpenvinoEngine(stage / OPENVINO.graph)


def _write_int8(
    stage: Path, opened: Opened, data: Dataset, asked: Asked, inputs: Sequence[str]
) -> dict[str, Any]:
    """Write the int8 file, and remove it again where it scores worse by more than is tolerated;
    return what was measured."""
    from hfkit.model.export import optimise, quantise

    rounded = stage / f"{PLAIN}.int8"
    made: dict[str, Any] = {"method": asked.int8}
    if asked.int8 == "static":
        rows, data = part(opened, data)
        made["calibrated_on"] = {"rows": len(rows.rows), "source": Path(rows.source).name}
        quantise(stage / PLAIN, rounded, _feeds(opened, rows, inputs))
    else:
        quantise(stage / PLAIN, rounded)
    optimise(rounded, stage / QUANTIZED)
    name, before = headline(stage / GRAPH, opened, data)
    _, after = headline(stage / QUANTIZED, opened, data)
    lower_is_better = name in find_metric(opened.task.metric).lower_is_better
    drop = (after - before if lower_is_better else before - after) / POINT
    kept = drop <= asked.tolerance
    if not kept:
        for path in (stage / QUANTIZED, stage / f"{QUANTIZED}_data"):
            path.unlink()
    return {
        **made,
        "metric": name,
        "fp32": before,
        "int8": after,
        "drop": round(drop, 6),
        "tolerance": asked.tolerance,
        "rows": len(data.rows),
        "source": Path(data.source).name,
        "kept": kept,
    }


def headline(file: Path, opened: Opened, data: Dataset) -> tuple[str, float]:
    """The first score of the task's metric, and its name, with an exported file on all rows."""
    from hfkit.infer.onnx_engine import OnnxEngine
    from hfkit.infer.predictor import Predictor
    from hfkit.metrics.statistics import score
    from hfkit.run.answered import gold_of

    assert opened.tokenizer is not None
    task = opened.task
    gold = gold_of(task, data)
    answers = Predictor(task, opened.tokenizer, OnnxEngine(file)).predict(data.rows)
    scores = score(find_metric(task.metric)(answers, gold, task.labels), resamples=0)
    return scores.headline, scores.values[scores.headline]


def _clear(stage: Path) -> None:
    """Remove what the files were made from."""
    for path in stage.glob(f"{PLAIN}*"):
        path.unlink()


def _encoded(opened: Opened, data: Dataset) -> list[EncodedRow]:
    """Up to `COMPARED` rows of the data, evenly spread, as the model reads them."""
    assert opened.tokenizer is not None
    return opened.task.features(spread(data.rows, COMPARED), opened.tokenizer)


def _feeds(opened: Opened, data: Dataset, inputs: Sequence[str]) -> list[Arrays]:
    """The rows as the file reads them, one at a time: padding would widen the ranges."""
    import numpy as np

    from hfkit.tasks.collate import collate

    assert opened.tokenizer is not None
    encoded = opened.task.features(data.rows, opened.tokenizer)
    batches = (collate([row], opened.tokenizer.padding) for row in spread(encoded, ROWS))
    return [{name: np.asarray(batch[name], dtype=np.int64) for name in inputs} for batch in batches]


def _made_up(opened: Opened, model: Any) -> list[EncodedRow]:
    """Rows of any tokens, from two to the longest that the model reads."""
    import numpy as np

    assert opened.tokenizer is not None
    padding = opened.tokenizer.padding
    count = int(model.get_input_embeddings().num_embeddings)
    draw = np.random.default_rng(0)
    rows: list[EncodedRow] = []
    for length in np.linspace(2, opened.tokenizer.max_length, MADE_UP).astype(int):
        tokens = draw.integers(0, count - 1, length)
        tokens += tokens >= padding["input_ids"]  # any token but the one that fills up
        row: EncodedRow = {"input_ids": tokens.tolist()}
        if "token_type_ids" in padding:
            row["token_type_ids"] = [0] * int(length)
        rows.append(row)
    return rows


def _small(rows: Sequence[EncodedRow], opened: Opened) -> dict[str, Any]:
    from hfkit.tasks.collate import collate

    assert opened.tokenizer is not None
    return collate(rows[:1], opened.tokenizer.padding)


def _difference(opened: Opened, rows: Sequence[EncodedRow], here: Engine, there: Engine) -> float:
    """The largest difference between two engines' outputs, padding aside."""
    import numpy as np

    from hfkit.infer.predictor import Predictor

    assert opened.tokenizer is not None
    ours, theirs = (
        Predictor(opened.task, opened.tokenizer, engine).run(rows) for engine in (here, there)
    )
    return max(
        float(np.max(np.abs(one[name] - other[name]), initial=0.0))
        for one, other in zip(ours, theirs, strict=True)
        for name in one
    )


def _tell(exported: Exported) -> None:
    parity = exported.content["parity"]
    words = "outputs differ from torch's by at most %.1g over %d rows (%s)"
    log.info(words, parity["difference"], parity["rows"], parity["source"])
    if not exported.difference <= CLOSE:
        words = "that is more than %g: it is used where --engine %s is named"
        log.warning(words, CLOSE, exported.folder.name)
    if exported.int8:
        found = exported.int8
        if "calibrated_on" in found:
            rows = found["calibrated_on"]
            log.info("int8: its scales are from %d rows of %s", rows["rows"], rows["source"])
        log.info(
            "int8: %s is %.4g, in fp32 %.4g (%d rows, %s)",
            found["metric"], found["int8"], found["fp32"], found["rows"], found["source"],
        )  # fmt: skip
    if exported.refused:
        log.warning("%s", exported.refused)
