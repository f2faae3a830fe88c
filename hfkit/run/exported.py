"""What `hfkit export` has left in a model's folder, and whether it may stand for the model.

    RUN/onnx/model.onnx, model.onnx_data   the model for onnxruntime
    RUN/openvino/openvino_model.xml, .bin  the model for OpenVINO
    RUN/.../tokenizer.json                 of a model that is no run: as transformers makes it
    RUN/.../export.json                    what it was made from and how far it is from torch;
                                           written last: a folder that has it is whole

Needs neither torch nor what computes the files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hfkit import sealing
from hfkit.errors import InputError
from hfkit.hashing import Hashes, sha256
from hfkit.model import adapted, gate

if TYPE_CHECKING:
    from hfkit.text import Tokenizer

REPORT = "export.json"
TOKENIZER = "tokenizer.json"
CONFIG = "config.json"
GRAPH, QUANTIZED = "model.onnx", "model_quantized.onnx"
# What transformers reads beside the files of `gate.TOKENIZER_FILES`; config.json names the class.
MORE_TOKENIZER_FILES = (
    "config.json", "merges.txt", "special_tokens_map.json", "added_tokens.json",
)  # fmt: skip
CLOSE = 1e-4  # the largest difference from torch's outputs with which a file stands for the model


class Kind(NamedTuple):
    """What one engine answers with: `name` is the engine's, its folder's and its extra's, `graph`
    the file of the model in fp32, `package` what computes it."""

    name: str
    graph: str
    package: str


ONNX = Kind("onnx", GRAPH, "onnxruntime")
OPENVINO = Kind("openvino", "openvino_model.xml", "openvino")
KINDS = {kind.name: kind for kind in (OPENVINO, ONNX)}  # the order in which they are tried


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


def weights_of(file: str) -> str:
    """The name of the file of weights beside an exported file.

    >>> weights_of("model.onnx"), weights_of("openvino_model.xml")
    ('model.onnx_data', 'openvino_model.bin')
    """
    return f"{file.removesuffix('.xml')}.bin" if file.endswith(".xml") else f"{file}_data"


def read_exported(folder: Path, kind: Kind = ONNX) -> Exported | None:
    """Return what was exported into a model's folder; None where nothing was.

    One that was about to be replaced when a kill came is put back. Raises `InputError` where
    export.json is damaged, `SafetyError` where a link leads elsewhere.
    """
    sealing.restore(folder / kind.name)
    path = folder / kind.name / REPORT
    if not path.is_file():
        return None
    for file in sorted(path.parent.iterdir()):
        gate.inside(folder, f"{kind.name}/{file.name}")
    try:
        content = sealing.read_json(path)
        content["files"], content["model"]["files"]
        float(content["parity"]["difference"])
    except (InputError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            "damaged", place=str(path), hint="export it again with --overwrite"
        ) from error
    return Exported(folder / kind.name, content)


def why_not_graph(
    exported: Exported, auto_class: str, head: Mapping[str, Any] | None, file: str
) -> str | None:
    """Say why the exported `file` may not stand for the model, as far as that is known without
    reading weights; None where nothing is wrong."""
    content = exported.content
    if file not in content["files"]:
        return (exported.refused if file == QUANTIZED else "") or f"there is no {file}"
    if content["computes"] != what_it_computes(exported.folder.parent, auto_class, head):
        return "it computes something else than is asked for here"
    return _damage(exported, file)


def begin_hashes(exported: Exported, file: str, hashes: Hashes) -> None:
    """Begin to take the hashes that `why_not_weights` is going to compare."""
    folder = exported.folder.parent
    hashes.begin([exported.folder / weights_of(file)])
    if not (adapted.is_adapted(folder) or (folder / sealing.MANIFEST).is_file()):
        hashes.begin(gate.weight_files(folder))


def why_not_weights(exported: Exported, file: str, hashes: Hashes) -> str | None:
    """The same, as far as the hashes of weights tell: of the file's, which are read once, and of
    the model's, which its manifest knows."""
    if exported.content["model"]["files"] != model_files(exported.folder.parent, hashes.of):
        return "the model has changed since"
    weights = weights_of(file)
    if weights not in exported.content["files"] and (exported.folder / weights).exists():
        return f"damaged: {weights}: not in {REPORT}"
    return _damage(exported, weights, hashes.of)


def _damage(exported: Exported, name: str, hash_of: Callable[[Path], str] = sha256) -> str | None:
    wrong = sealing.damage(exported.folder, (name,), REPORT, hash_of)
    return wrong and f"damaged: {wrong}"


def write_tokenizer(stage: Path, folder: Path, tokenizer: Tokenizer) -> dict[str, Any]:
    """Write the tokenizer of the model in `folder` into `stage`; return what export.json says of
    it, for `read_tokenizer`."""
    (stage / TOKENIZER).write_text(tokenizer.backend.to_str(), "utf-8")
    return {
        "padding": tokenizer.padding,
        "null_id": tokenizer.null_id,
        "made_from": tokenizer_files(folder),
    }


def read_tokenizer(folder: Path, max_length: int) -> Tokenizer | None:
    """The tokenizer that was exported with a model; None where there is none, or an outdated or a
    damaged one."""
    for kind in KINDS.values():
        found = _tokenizer_of(kind, folder, max_length)
        if found is not None:
            return found
    return None


def _tokenizer_of(kind: Kind, folder: Path, max_length: int) -> Tokenizer | None:
    from hfkit.backend import read_backend
    from hfkit.text import Tokenizer

    try:
        exported = read_exported(folder, kind)
    except InputError:
        return None  # the engine tells, where it matters
    facts = exported.content.get("tokenizer") if exported else None
    if exported is None or not isinstance(facts, dict):
        return None
    if facts.get("made_from") != tokenizer_files(folder):
        return None
    if sealing.damage(exported.folder, only=(TOKENIZER,), manifest=REPORT) is not None:
        return None
    backend = read_backend(exported.folder)
    return Tokenizer(backend, max_length, dict(facts["padding"]), facts["null_id"])


def tokenizer_files(folder: Path) -> dict[str, str]:
    """The hashes of the files that a model's tokenizer is made from."""
    from hfkit.model.gate import TOKENIZER_FILES

    names = (*TOKENIZER_FILES, *MORE_TOKENIZER_FILES)
    return {name: sha256(folder / name) for name in names if (folder / name).is_file()}


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


def model_files(folder: Path, hash_of: Callable[[Path], str] = sha256) -> dict[str, str]:
    """The hashes of a model's configuration and files of weights: as its manifest has them, else of
    the files."""

    def known(path: Path, name: str) -> str:
        entry = sealed.get(name)
        if entry is not None and path.stat().st_size == entry["size"]:
            return str(entry["sha256"])
        return hash_of(path)

    sealed = {}
    if (folder / sealing.MANIFEST).is_file():
        sealed = sealing.read_json(folder / sealing.MANIFEST).get("files", {})
    found = {CONFIG: known(gate.inside(folder, CONFIG), CONFIG)}
    if adapted.is_adapted(folder):
        own = known(gate.inside(folder, adapted.TENSORS), adapted.TENSORS)
        return {**found, **adapted.recorded_files(folder), adapted.TENSORS: own}
    return found | {path.name: known(path, path.name) for path in gate.weight_files(folder)}
