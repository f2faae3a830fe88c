"""What `hfkit export` has left in a model's folder, and whether it may stand for the model.

    RUN/onnx/model.onnx, model.onnx_data   the model
    RUN/onnx/export.json                   what it was made from and how far it is from torch;
                                           written last: a folder that has it is whole

Needs neither torch nor onnxruntime.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hfkit import sealing
from hfkit.errors import InputError
from hfkit.model import gate

FOLDER = "onnx"
REPORT = "export.json"
GRAPH, QUANTIZED = "model.onnx", "model_quantized.onnx"
CLOSE = 1e-4  # the largest difference from torch's outputs with which a file stands for the model


@dataclass(frozen=True)
class Exported:
    """An exported model: its `folder`, and `content`, what export.json says."""

    folder: Path
    content: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        return {"folder": str(self.folder), **self.content}

    @property
    def difference(self) -> float:
        """The largest difference from torch's outputs over the rows that were compared."""
        return float(self.content["parity"]["difference"])

    @property
    def int8(self) -> Mapping[str, Any]:
        """What int8 was measured to cost; empty where nobody asked."""
        found: Mapping[str, Any] = self.content.get("int8") or {}
        return found

    @property
    def refused(self) -> str:
        """Why there is no int8 file, where one was asked for; "" otherwise."""
        if not self.int8 or self.int8["kept"]:
            return ""
        return (
            f"int8 lost {self.int8['drop']:.2f} points of {self.int8['metric']}, more than "
            f"{self.int8['tolerance']:g}, and was not kept"
        )


def read_exported(folder: Path) -> Exported | None:
    """Return what was exported into a model's folder; None where nothing was.

    Raises `InputError` where export.json is damaged, `SafetyError` where a link leads elsewhere.
    """
    path = folder / FOLDER / REPORT
    if not path.is_file():
        return None
    for file in sorted((folder / FOLDER).iterdir()):
        gate.inside(folder, f"{FOLDER}/{file.name}")
    content = sealing.read_json(path)
    try:
        content["files"], content["model"]["files"]
        float(content["parity"]["difference"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            "damaged", place=str(path), hint="export it again with --overwrite"
        ) from error
    return Exported(folder / FOLDER, content)


def why_not(
    exported: Exported, auto_class: str, head: Mapping[str, Any] | None, file: str
) -> str | None:
    """Say why the exported `file` may not stand for the model; None where it may.

    The files are read once for their hashes; those of the model are known from its manifest.
    """
    content = exported.content
    if file not in content["files"]:
        return (exported.refused if file == QUANTIZED else "") or f"there is no {file}"
    if content["computes"] != what_it_computes(exported.folder.parent, auto_class, head):
        return "it computes something else than is asked for here"
    if content["model"]["files"] != model_files(exported.folder.parent):
        return "the model has changed since"
    wrong = sealing.damage(exported.folder, only=(file, f"{file}_data"), manifest=REPORT)
    if wrong is not None:
        return f"damaged: {wrong}"
    return None


def what_it_computes(
    folder: Path, auto_class: str, head: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The head that a file was exported with, in what changes its outputs."""
    from hfkit.model.facts import EMBEDDER
    from hfkit.model.pooling import stored_pooling

    given = dict(head or {}) if ":" in auto_class else {}
    if auto_class == EMBEDDER:
        given = {"pooling": given.get("hfkit_pooling") or stored_pooling(folder) or "mean"}
    return {"class": auto_class, "head": given}


def model_files(folder: Path) -> dict[str, str]:
    """The hashes of a model's files of weights: as its manifest has them, else of the files."""
    sealed = {}
    if (folder / sealing.MANIFEST).is_file():
        sealed = sealing.read_json(folder / sealing.MANIFEST).get("files", {})
    return {path.name: _hash(path, sealed.get(path.name)) for path in gate.weight_files(folder)}


def _hash(path: Path, entry: Mapping[str, Any] | None) -> str:
    if entry is not None and path.stat().st_size == entry["size"]:
        return str(entry["sha256"])
    return sealing.sha256(path)
