"""`hfkit export`: a model as a file of another engine in its own folder, compared with torch.

Nothing of the run itself changes: the file stands in a folder of its own, which appears whole.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hfkit import sealing
from hfkit.config import ExportConfig
from hfkit.errors import InputError
from hfkit.run.exported import REPORT, Exported
from hfkit.run.output import locked

if TYPE_CHECKING:
    from hfkit.data.dataset import Dataset
    from hfkit.run.opening import Opened


def export(config: ExportConfig) -> Exported:
    """Write ``config.model`` for ``config.engine`` into a folder of that name inside its own.

    Raises `InputError` for a name that is no folder, for a model that cannot be exported and,
    without ``config.overwrite``, where one was exported before; `InUseError` where another process
    writes to the folder.
    """
    if not config.model:
        raise InputError("no model", hint="name the folder of a run: hfkit export RUN")
    folder = Path(config.model)
    if not folder.is_dir():
        raise InputError(
            "no such folder; the file is written into the model's own",
            place=config.model,
            hint="name the folder of a run or of a downloaded model",
        )
    if config.int8_method == "static" and not config.int8:
        raise InputError(
            "is for int8, which is not asked for", place="--int8-method", hint="add --int8"
        )
    if config.int8 and config.engine != "onnx":
        raise InputError(
            f"{config.engine} has no int8 here", place="--int8", hint="use --engine onnx"
        )
    with locked(folder, hint="wait for it"):
        return _export(folder, config)


def _export(folder: Path, config: ExportConfig) -> Exported:
    """Do it, in a folder that nobody else writes to."""
    from hfkit.run.exporting import Asked, check_packages, write_export
    from hfkit.run.opening import open_run

    target = folder / config.engine
    sealing.restore(target)
    if (target / REPORT).is_file() and not config.overwrite:
        raise InputError("exported already", place=str(target), hint="use --overwrite")
    check_packages(config.engine, str(folder))
    opened = open_run(config.model or "", config, anew=True)
    data = _data(config, opened)
    if config.int8 and data is None:
        raise InputError(
            "what int8 costs is measured on rows with labels",
            place="--int8",
            hint=f"name a file of them: hfkit export {config.model} DATA --int8",
        )
    int8 = config.int8_method if config.int8 else None
    return write_export(folder, opened, data, Asked(int8, config.tolerance, config.engine))


def _data(config: ExportConfig, opened: Opened) -> Dataset | None:
    """The rows to compare on: those that are named, else the run's own for validation."""
    from hfkit.run.answered import load_labelled

    if config.data:
        return load_labelled(config.data, config, opened)
    saved = opened.settings
    if saved is not None and opened.columns and Path(saved.validation).is_file():
        return load_labelled(saved.validation, saved, opened)
    return None
