"""`hfkit calibrate`: confidences that can be believed, and thresholds that fit, fitted afterwards.

The weights stay as they are: what is fitted goes into decisions.json, which every engine uses.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hfkit import sealing
from hfkit.config import CalibrateConfig, EvaluateConfig
from hfkit.errors import InputError, RowError
from hfkit.redaction import redacted
from hfkit.registry import find_task
from hfkit.run.decisions import (
    part_of,
    read_content,
    with_calibration,
    without_calibration,
    write_part,
)
from hfkit.run.output import RUN, locked

if TYPE_CHECKING:
    from hfkit.data.dataset import Dataset
    from hfkit.run.calibration import Fit
    from hfkit.run.opening import Opened

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Calibrated:
    """What was fitted, and on which rows. `fit` is None where it was taken back; `written` says
    whether decisions.json has changed."""

    folder: Path
    task: str
    data: str
    rows: int
    fit: Fit | None
    written: bool

    def to_json(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        head = {"folder": str(self.folder), "task": self.task, "written": self.written}
        if self.fit is None:
            return {**head, "reset": True}
        return {**head, "data": self.data, "rows": self.rows, **told_of(self.fit)}


def told_of(fit: Fit) -> dict[str, Any]:
    """What a fit has to tell, ready for JSON."""
    return {
        "decided": fit.decided,
        "events": fit.events,
        "before": fit.before,
        "after": fit.after,
        "abstaining": fit.abstaining.to_json() if fit.abstaining else None,
        "reliability": fit.curves,
    }


def calibrate(config: CalibrateConfig) -> Calibrated:
    """Fit temperature and thresholds of ``config.model`` on the rows of ``config.data``.

    Raises `InputError` for a name that is no folder, for too few rows and for a task that has
    nothing to calibrate; `InUseError` where another process writes to the folder.
    """
    if not config.model:
        raise InputError("no model", hint="name the folder of a run: hfkit calibrate RUN DATA")
    folder = Path(config.model).expanduser()
    if not folder.is_dir():
        raise InputError(
            "no such folder; decisions are written into the model's own",
            place=config.model,
            hint="name the folder of a run or of a downloaded model",
        )
    if not config.data and not config.reset:
        hint = "name rows with the right answers that it was not trained on, or --reset"
        raise InputError("no data", hint=hint)
    if config.options.get("endpoint"):
        raise InputError("a server's answers are not calibrated", place="--endpoint")
    with locked(folder, hint="wait for it"):
        return _reset(folder, config) if config.reset else _fitted(folder, config)


def _reset(folder: Path, config: CalibrateConfig) -> Calibrated:
    """Take back what was calibrated: of the task that is named, else of the run's own."""
    from hfkit.run.opening import read_settings

    saved = read_settings(folder)
    own = find_task(saved.task)[0] if saved and saved.task else None
    named = find_task(config.task)[0] if config.task else own
    content = read_content(folder)
    if named is None:
        named = next(iter(content.get("tasks") or {}), "classification")
    other = None if named == own else named
    part = part_of(content, other)
    is_there = "calibration" in part
    if not is_there:
        log.info("%s: nothing was calibrated", folder)
    elif not config.dry_run:
        write_part(folder, other, without_calibration(part) if other is None else {})
    return Calibrated(folder, named, "", 0, None, is_there and not config.dry_run)


def _fitted(folder: Path, config: CalibrateConfig) -> Calibrated:
    from hfkit.run.answered import gold_of, load_labelled
    from hfkit.run.calibration import FEWEST, calibrate
    from hfkit.run.opening import open_run

    settings = _evaluation(config)
    opened = open_run(str(folder), settings)
    saved = opened.settings
    trained = find_task(saved.task)[0] if saved and saved.task else None
    own = find_task(config.task)[0] if config.task else trained
    name = own or type(opened.task).__module__.rpartition(".")[2].replace("_", "-")
    other = None if name == trained else name
    part = part_of(read_content(folder), other)
    opened.task.decisions = dict(without_calibration(part).get("decisions") or {})
    data = load_labelled(config.data or "", settings, opened)
    if len(data.rows) < FEWEST:
        what = f"{len(data.rows)} rows are too few to calibrate on"
        raise InputError(what, place=data.source, hint=f"take {FEWEST} or more")
    gold = gold_of(opened.task, data)
    _warn_of_training(opened, data)
    judged = _judged(opened, settings, data, gold)
    try:
        fit = calibrate(judged, len(data.rows), config.precision_at_least)
    except InputError as error:
        place = error.place or data.source
        raise InputError(error.message, place=place, hint=error.hint) from error
    if not config.dry_run:
        told = {**_source(data), **told_of(fit)}
        del told["decided"]
        write_part(folder, other, with_calibration(part, fit.decided, told))
    return Calibrated(folder, name, data.source, len(data.rows), fit, not config.dry_run)


def _evaluation(config: CalibrateConfig) -> EvaluateConfig:
    """The settings with which an evaluation would answer the same rows."""
    names = set(CalibrateConfig.model_fields) & set(EvaluateConfig.model_fields)
    names -= {"config", "set", "model", "output", "json_output"}
    return EvaluateConfig(**{name: getattr(config, name) for name in names})


def _judged(opened: Opened, settings: EvaluateConfig, data: Dataset, gold: list[Any]) -> Any:
    """Answer the rows without what was calibrated before, and put the right answers beside."""
    from hfkit.infer.predictor import Predictor
    from hfkit.run.calibration import judge
    from hfkit.run.predicting import make_predictor

    predictor = make_predictor(opened, settings)
    assert isinstance(predictor, Predictor)  # a folder is no server
    candidates: Any = ()
    try:
        if hasattr(opened.task, "candidates") and opened.task.label_kind == "answers":
            encoded = predictor.encode(data.rows)
            outputs = predictor.run(encoded)
            candidates = opened.task.candidates(outputs, encoded, data.rows)
            answers = [opened.task.answer(*found) for found in candidates]  # type: ignore[attr-defined]
        else:
            answers = predictor.predict(data.rows)
    except RowError as error:
        raise data.located(error) from error
    return judge(opened.task, data.rows, answers, gold, candidates)


def _warn_of_training(opened: Opened, data: Dataset) -> None:
    """Confidences on rows that were learnt are higher than on others.

    A run keeps no name of a file that could be trusted, but the hash of its training rows, and the
    settings by which a validation part was cut off: the same rows are cut in the same way.
    """
    from hfkit.run.parts import learnt_of

    path = opened.folder / RUN
    identity = sealing.read_json(path).get("identity") if path.is_file() else None
    known = identity if isinstance(identity, dict) else {}
    learnt = data
    if known.get("validation data") == data.digest:
        log.info("%s: the rows that its best checkpoint was picked on", data.source)
        return
    if known and known.get("training data") != data.digest and opened.settings is not None:
        with suppress(InputError, RowError):
            learnt = learnt_of(opened.settings, opened.task, data)
    if known.get("training data") == learnt.digest:
        some = f" {len(learnt.rows)} of them were:" if len(learnt.rows) < len(data.rows) else ""
        log.warning(
            "%s: the rows that it was trained on;%s on others it is less sure than this says",
            data.source, some,
        )  # fmt: skip


def _source(data: Dataset) -> dict[str, Any]:
    name = redacted(Path(data.source).name)
    return {"data": name, "rows": len(data.rows), "sha256": data.digest}
