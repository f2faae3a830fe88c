"""Hostile and broken model folders: each is refused with its reason, and nothing of it runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hfkit.errors import HfkitError, InputError, SafetyError
from hfkit.model import gate


@pytest.fixture
def folder(tmp_path: Path, tiny_base_folder: Path) -> Path:
    return Path(shutil.copytree(tiny_base_folder, tmp_path / "model"))


def edit(path: Path, **changes: Any) -> None:
    """Change entries of a JSON file."""
    found = json.loads(path.read_text("utf-8")) if path.exists() else {}
    path.write_text(json.dumps({**found, **changes}), "utf-8")


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x02cos\nsystem\n")


def indexed(name: str) -> Callable[[Path], None]:
    """Replace the weights by an index that names `name`."""

    def change(folder: Path) -> None:
        shutil.copy(folder / "model.safetensors", folder.parent / "outside.safetensors")
        (folder / "model.safetensors").unlink()
        edit(folder / "model.safetensors.index.json", weight_map={"a": name})

    return change


def linked(name: str) -> Callable[[Path], None]:
    """Replace a file by a link to a copy outside the folder."""

    def change(folder: Path) -> None:
        (folder / name).rename(folder.parent / "outside")
        (folder / name).symlink_to(folder.parent / "outside")

    return change


def config(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: edit(folder / "config.json", **changes)


def tokenizer(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: edit(folder / "tokenizer_config.json", **changes)


REFUSED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "code of its own": (config(auto_map={"AutoModel": "evil.Evil"}), "auto_map"),
    "code in a part": (config(text_config={"auto_map": {"AutoModel": "e.E"}}), "auto_map"),
    "code for the tokenizer": (tokenizer(auto_map=["evil.Tokenizer", None]), "auto_map"),
    "kernel from the Hub": (config(_attn_implementation="evil/kernel"), "evil/kernel"),
    "kernel, other spelling": (config(attn_implementation="evil/kernel"), "attention"),
    "kernel, inner spelling": (config(_attn_implementation_internal="evil/kernel"), "attention"),
    "kernel for a part": (config(attn_implementation={"": "sdpa", "text": "a/b"}), "a/b"),
    "other weights": (config(transformers_weights="../evil.safetensors"), "transformers_weights"),
    "pickle": (pickled, "it can run code"),
    "index to pickle": (indexed("pytorch_model.bin"), "not safetensors"),
    "index upwards": (indexed("../outside.safetensors"), "outside the model's folder"),
    "index absolute": (indexed("/tmp/outside.safetensors"), "outside the model's folder"),
    "index with backslash": (indexed("..\\outside.safetensors"), "outside the model's folder"),
    "weights are a link": (linked("model.safetensors"), "a link"),
    "config is a link": (linked("config.json"), "a link"),
    "tokenizer is a link": (linked("tokenizer.json"), "a link"),
    "tokenizer version upwards": (tokenizer(fast_tokenizer_files=["../t.json"]), "outside"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_could_run_code_or_lead_out_is_refused(folder: Path, case: str) -> None:
    spoil, reason = REFUSED[case]
    spoil(folder)
    with pytest.raises(SafetyError, match=reason) as caught:
        gate.check(folder)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 3


def written(name: str, content: bytes) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).write_bytes(content)


def shortened(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 1\n"
BROKEN: dict[str, tuple[Callable[[Path], Any], str]] = {
    "pointer": (written("model.safetensors", POINTER), "Git LFS pointer"),
    "page": (written("model.safetensors", b"<!DOCTYPE html><html>Sign in"), "a web page"),
    "empty": (written("model.safetensors", b""), "an empty file"),
    "a few bytes": (written("model.safetensors", b"abc"), "not a safetensors file"),
    "pickle renamed": (written("model.safetensors", b"PK\x03\x04" + b"\xff" * 50), "a pickle"),
    "list as header": (written("model.safetensors", b"\x02" + b"\0" * 7 + b"[]"), "safetensors"),
    "cut short": (shortened, "cut short"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "no model.safetensors"),
    "shard missing": (indexed("model-2.safetensors"), "not there"),
    "index of nothing": (indexed(""), "outside|safetensors"),
    "no config": (lambda folder: (folder / "config.json").unlink(), "no config.json"),
    "config a page": (written("config.json", b"<html>"), "a web page"),
    "config a list": (written("config.json", b"[]"), "expected a JSON object"),
    "config no JSON": (written("config.json", b"{"), "not JSON"),
    "config too deep": (written("config.json", b"[" * 100_000), "not JSON"),
    "config not UTF-8": (written("config.json", b"\xff\xfe"), "not JSON"),
    "no model type": (config(model_type=None), "model_type"),
    "quantized": (config(quantization_config={"quant_method": "gptq"}), "quantized"),
    "adapter": (lambda folder: edit(folder / "adapter_config.json", r=8), "adapter"),
    "no tokenizer": (
        lambda folder: [path.unlink() for path in folder.glob("tokenizer*")],
        "no tokenizer",
    ),
    "tokenizer broken": (written("tokenizer.json", b"{'a"), "not JSON"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_is_named(folder: Path, case: str) -> None:
    spoil, reason = BROKEN[case]
    spoil(folder)
    with pytest.raises(HfkitError, match=reason) as caught:
        gate.check(folder)
    assert "\n" not in str(caught.value)
    assert str(folder.name) in str(caught.value)
    if case != "index of nothing":
        assert isinstance(caught.value, InputError)


def test_a_good_folder_passes(tiny_base_folder: Path) -> None:
    assert gate.check(tiny_base_folder)["model_type"] == "bert"
    assert [path.name for path in gate.weight_files(tiny_base_folder)] == ["model.safetensors"]


def test_safe_attention_passes(folder: Path) -> None:
    for name in gate.SAFE_ATTENTION:
        edit(folder / "config.json", _attn_implementation=name)
        gate.check(folder)


def test_links_within_the_hub_cache_pass(tmp_path: Path, tiny_base_folder: Path) -> None:
    repository = tmp_path / "models--org--name"
    snapshot = repository / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    shutil.copytree(tiny_base_folder, repository / "blobs")
    for blob in (repository / "blobs").iterdir():
        (snapshot / blob.name).symlink_to(Path("../../blobs") / blob.name)
    assert gate.check(snapshot)["model_type"] == "bert"
    (tmp_path / "secret.json").write_text("{}", "utf-8")
    (snapshot / "config.json").unlink()
    (snapshot / "config.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(SafetyError, match="a link"):
        gate.check(snapshot)


def test_an_unfinished_run_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(InputError, match="unfinished run"):
        gate.check(tmp_path)
