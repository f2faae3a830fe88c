"""The corpus of hostile and broken models, each given to every command that loads one.

What could run code or lead out of the folder ends with exit code 3, what is broken with 2, in one
line; a marker that the traps would leave never appears.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from faults.conftest import counts
from forks import start
from safetensors.torch import load_file, save_file
from toys import toy_rows, write_csv

import hfkit
from hfkit.cli.app import run as command_line
from hfkit.errors import HfkitError
from hfkit.model import adapted
from hfkit.model.adapters import attach, detach
from hfkit.model.folder import write_folder
from hfkit.model.load import load_anew
from hfkit.model.locate import Located
from hfkit.model.lora import parse

WEIGHTS = "model.safetensors"
TRIED: Counter[str] = Counter()  # what was given to a command and refused, by kind


@dataclass
class Model:
    """A folder to spoil; `marker` is what a trap makes when it runs."""

    folder: Path
    marker: Path

    def edit(self, name: str, **changes: Any) -> None:
        """Change entries of a JSON file, or write a new one."""
        path = self.folder / name
        found = json.loads(path.read_text("utf-8")) if path.exists() else {}
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({**found, **changes}), "utf-8")

    def write(self, name: str, content: bytes) -> None:
        (self.folder / name).write_bytes(content)

    def trap(self, name: str) -> None:
        """Python that leaves the marker when it is imported, with every class one may ask for."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        lines = [
            f"open({str(self.marker)!r}, 'w').close()",
            "from transformers import BertConfig, BertForSequenceClassification, BertTokenizer",
            "class Config(BertConfig): model_type = 'evil'",
            "class Evil(BertForSequenceClassification): config_class = Config",
            "class Tokenizer(BertTokenizer): pass",
        ]
        path.write_text("\n".join(lines), "utf-8")

    def payload(self) -> bytes:
        """A pickle that leaves the marker when it is read."""
        return pickle.dumps(Payload(str(self.marker)))

    def tensors(self, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
        """Change the stored weights."""
        path = self.folder / WEIGHTS
        tensors = load_file(path)
        change(tensors)
        save_file(tensors, path, metadata={"format": "pt"})

    def without_weights(self) -> None:
        (self.folder / WEIGHTS).unlink()


class Payload:
    """Runs as it is unpickled."""

    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return (os.mkdir, (self.marker,))


def auto_map(model: Model) -> None:
    model.trap("evil.py")
    classes = {"AutoConfig": "evil.Config", "AutoModel": "evil.Evil"}
    classes["AutoModelForSequenceClassification"] = "evil.Evil"
    model.edit("config.json", auto_map=classes)


def auto_map_of_unknown_type(model: Model) -> None:
    auto_map(model)
    model.edit("config.json", model_type="evil")


def auto_map_inside(model: Model) -> None:
    model.trap("evil.py")
    model.edit("config.json", text_config={"auto_map": {"AutoConfig": "evil.Config"}})


def auto_map_elsewhere(model: Model) -> None:
    model.edit("config.json", auto_map={"AutoModel": "org/other--evil.Evil"})


def tokenizer_map(model: Model) -> None:
    model.trap("evil.py")
    changes = {"AutoTokenizer": ["evil.Tokenizer", None]}
    model.edit("tokenizer_config.json", auto_map=changes, tokenizer_class="Tokenizer")


def old_tokenizer_map(model: Model) -> None:
    model.trap("evil.py")
    model.edit("tokenizer_config.json", auto_map=["evil.Tokenizer", "evil.Tokenizer"])


def pickle_alone(model: Model) -> None:
    model.without_weights()
    model.write("pytorch_model.bin", model.payload())


def archive_alone(model: Model) -> None:
    model.without_weights()
    torch.save({"weight": Payload(str(model.marker))}, model.folder / "pytorch_model.bin")


def pickle_shards(model: Model) -> None:
    model.without_weights()
    model.write("pytorch_model-00001-of-00001.bin", model.payload())
    shards = {"a": "pytorch_model-00001-of-00001.bin"}
    model.edit("pytorch_model.bin.index.json", weight_map=shards)


def index(*names: str) -> Callable[[Model], None]:
    """Weights through an index that names these files, the first of which holds them."""

    def spoil(model: Model) -> None:
        outside = model.folder.parent / "outside.safetensors"
        shutil.move(model.folder / WEIGHTS, outside)
        (model.folder / "pytorch_model.bin").write_bytes(model.payload())
        shards = {f"w{number}": name.format(outside=outside) for number, name in enumerate(names)}
        model.edit("model.safetensors.index.json", weight_map=shards)

    return spoil


def link(name: str) -> Callable[[Model], None]:
    def spoil(model: Model) -> None:
        shutil.move(model.folder / name, model.folder.parent / "outside")
        (model.folder / name).symlink_to(model.folder.parent / "outside")

    return spoil


def link_to_itself(model: Model) -> None:
    (model.folder / "one.safetensors").symlink_to("one.safetensors")
    model.edit("model.safetensors.index.json", weight_map={"a": "one.safetensors"})


def linked_shard(model: Model) -> None:
    shutil.move(model.folder / WEIGHTS, model.folder.parent / "outside")
    (model.folder / "one.safetensors").symlink_to(model.folder.parent / "outside")
    model.edit("model.safetensors.index.json", weight_map={"a": "one.safetensors"})


def linked_settings(model: Model) -> None:
    outside = model.folder.parent / "outside.yaml"
    outside.write_text("secret: of somebody\n", "utf-8")
    (model.folder / "hfkit.yaml").symlink_to(outside)


def adapter(model: Model) -> None:
    model.edit("adapter_config.json", peft_type="LORA", base_model_name_or_path="/etc", r=8)
    model.write("adapter_model.bin", model.payload())


def adapter_alone(model: Model) -> None:
    adapter(model)
    (model.folder / "config.json").unlink()


def safe_adapter(model: Model) -> None:
    model.edit("adapter_config.json", peft_type="LORA", base_model_name_or_path="org/base", r=8)
    shutil.copy(model.folder / WEIGHTS, model.folder / "adapter_model.safetensors")


def own_adapter(
    spoil: Callable[[Model], Any] = lambda model: None, **changes: Any
) -> Callable[[Model], None]:
    """A run of ``--lora`` with its base model inside; then `spoil`, and `changes` of base.json."""

    def make(model: Model) -> None:
        folder, base = model.folder, model.folder / "base"
        names = [path.name for path in folder.iterdir()]
        base.mkdir()
        for name in names:
            (folder / name).rename(base / name)
        head = json.loads((base / "config.json").read_text("utf-8"))
        labels = {int(number): name for number, name in head["id2label"].items()}
        head = {"num_labels": len(labels), "id2label": labels, "label2id": head["label2id"]}
        head["problem_type"] = "single_label_classification"
        auto_class = "AutoModelForSequenceClassification"
        loaded, new = load_anew(base, auto_class, head, dropout=0.0, seed=1)
        attach(loaded, parse("r=2"), new, seed=1)
        facts = adapted.describe_base(Located(base, "somewhere", None), folder)
        write_folder(folder, loaded, base, max_length=64, adapter=detach(loaded), base=facts)
        if changes:
            model.edit(adapted.BASE, **changes)
        spoil(model)

    return make


def base_is_a_pickle(model: Model) -> None:
    (model.folder / "base" / WEIGHTS).unlink()
    model.write("base/pytorch_model.bin", model.payload())


def linked_base(model: Model) -> None:
    shutil.move(model.folder / "base" / WEIGHTS, model.folder.parent / "outside")
    (model.folder / "base" / WEIGHTS).symlink_to(model.folder.parent / "outside")


def base_elsewhere(model: Model) -> None:
    shutil.rmtree(model.folder / "base")


SIZE = {"size": 1, "sha256": "0" * 64}


def config(**changes: Any) -> Callable[[Model], None]:
    return lambda model: model.edit("config.json", **changes)


def attention(key: str, value: Any = "evil/kernel") -> Callable[[Model], None]:
    return config(**{key: value})


REFUSED: dict[str, Callable[[Model], Any]] = {
    "code, known type": auto_map,
    "code, unknown type": auto_map_of_unknown_type,
    "code of a part": auto_map_inside,
    "code of another repository": auto_map_elsewhere,
    "code of the tokenizer": tokenizer_map,
    "code of the tokenizer, old": old_tokenizer_map,
    "attention": attention("attn_implementation"),
    "attention, old": attention("_attn_implementation"),
    "attention, inner": attention("_attn_implementation_internal"),
    "attention, by part": attention("attn_implementation", {"text_config": "evil/kernel"}),
    "attention, inside": config(text_config={"attn_implementation": "evil/kernel:f"}),
    "attention, a number": attention("attn_implementation", 7),
    "experts": attention("experts_implementation"),
    "pickle": pickle_alone,
    "pickle, archive": archive_alone,
    "pickle, shards": pickle_shards,
    "index to a pickle": index("pytorch_model.bin"),
    "index upwards": index("../outside.safetensors"),
    "index upwards, deep": index("a/../../outside.safetensors"),
    "index absolute": index("{outside}"),
    "index backslash": index("..\\outside.safetensors"),
    "index with a NUL": index("a\0.safetensors"),
    "a link to itself": link_to_itself,
    "weights a link": link(WEIGHTS),
    "config a link": link("config.json"),
    "tokenizer a link": link("tokenizer.json"),
    "shard a link": linked_shard,
    "settings a link": linked_settings,
    "adapter": adapter,
    "adapter alone": adapter_alone,
    "own adapter, linked": own_adapter(link(adapted.TENSORS)),
    "own adapter, its settings linked": own_adapter(link(adapted.CONFIG)),
    "own adapter, a linked base": own_adapter(linked_base),
    "own adapter on files upwards": own_adapter(files={"../outside.safetensors": SIZE}),
    "own adapter on a file of the system": own_adapter(files={"/etc/passwd": SIZE}),
    "own adapter on a pickle": own_adapter(base_is_a_pickle, files={"pytorch_model.bin": SIZE}),
    "own adapter that brings code": own_adapter(auto_map),
    "own adapter beside peft's": own_adapter(adapter),
    "other weights": config(transformers_weights="../outside.safetensors"),
}


def renamed_pickle(model: Model) -> None:
    model.write(WEIGHTS, model.payload())


def renamed_archive(model: Model) -> None:
    torch.save({"weight": Payload(str(model.marker))}, model.folder / WEIGHTS)


def header(**entry: Any) -> Callable[[Model], None]:
    def spoil(model: Model) -> None:
        text = json.dumps({"bert.embeddings.x": {"data_offsets": [0, 4], **entry}}).encode()
        model.write(WEIGHTS, len(text).to_bytes(8, "little") + text + b"\0" * 4)

    return spoil


def pipe(model: Model, name: str) -> None:
    (model.folder / name).unlink()
    os.mkfifo(model.folder / name)


def folder_for(model: Model, name: str) -> None:
    (model.folder / name).unlink()
    (model.folder / name).mkdir()


BROKEN: dict[str, Callable[[Model], Any]] = {
    "pickle renamed": renamed_pickle,
    "archive renamed": renamed_archive,
    "safe adapter": safe_adapter,
    "own adapter, a pickle": own_adapter(
        lambda model: model.write(adapted.TENSORS, model.payload())
    ),
    "own adapter on a model of the Hub": own_adapter(base_elsewhere, place=None),
    "own adapter on a folder of the system": own_adapter(
        base_elsewhere, place="/etc", files={"hostname.safetensors": SIZE}
    ),
    "own adapter on a device": own_adapter(
        base_elsewhere, place="/dev", files={"zero.safetensors": SIZE}
    ),
    "own adapter on itself": own_adapter(base_elsewhere, place="."),
    "config a pipe": lambda model: pipe(model, "config.json"),
    "weights a pipe": lambda model: pipe(model, WEIGHTS),
    "tokenizer a pipe": lambda model: pipe(model, "tokenizer.json"),
    "config a folder": lambda model: folder_for(model, "config.json"),
    "a long name": index("a" * 300 + ".safetensors"),
    "header without a shape": header(dtype="F32"),
    "header with a wrong shape": header(dtype="F32", shape=["1"]),
    "header with a wrong type": header(dtype=7, shape=[1]),
    "a million layers": config(num_hidden_layers=1_000_000),
    "a million shared layers": config(num_hidden_layers=1_000_000, num_hidden_groups=1),
    "layers below zero": config(num_hidden_layers=-1),
    "no layers": config(num_hidden_layers=0),
    "more layers": config(num_hidden_layers=3),
    "layers as text": config(num_hidden_layers="2"),
    "layers true": config(num_hidden_layers=True),
    "layers a list": config(num_hidden_layers=[2]),
    "vast width": config(hidden_size=10**9),
    "another width": config(hidden_size=64),
    "width not whole": config(hidden_size=32.0),
    "vast middle": config(intermediate_size=10**9),
    "vast vocabulary": config(vocab_size=10**10),
    "vast positions": config(max_position_embeddings=10**10),
    "vast types": config(type_vocab_size=10**10),
    "heads below zero": config(num_attention_heads=-2),
    "vast heads": config(num_attention_heads=10**9),
    "heads that do not divide": config(num_attention_heads=3),
    "vast labels": config(num_labels=10**9, id2label=None),
    "width of a part": config(text_config={"hidden_size": 10**9}),
    "NaN": config(layer_norm_eps=float("nan")),
    "infinite": config(hidden_dropout_prob=float("inf")),
    "dropout of 7": config(hidden_dropout_prob=7.0),
    "labels a list": config(id2label=["a", "b"]),
    "labels without numbers": config(id2label={"x": "a"}),
    "architectures a text": config(architectures="BertForSequenceClassification"),
    "architectures of numbers": config(architectures=[7]),
    "padding a text": config(pad_token_id="[PAD]"),
    "unknown type": config(model_type="evil"),
    "activation unknown": config(hidden_act="__import__('os').system"),
    "quantized": config(quantization_config={"quant_method": "bitsandbytes"}),
    "versions of a tokenizer": lambda model: model.edit(
        "tokenizer_config.json", fast_tokenizer_files=5
    ),
    "a tokenizer of nothing": lambda model: model.write("tokenizer.json", b"{}"),
}


def tokenizer(**changes: Any) -> Callable[[Model], None]:
    return lambda model: model.edit("tokenizer.json", **changes)


def settings(**changes: Any) -> Callable[[Model], None]:
    return lambda model: model.edit("tokenizer_config.json", **changes)


def a_token_without_a_row(model: Model) -> None:
    parts = json.loads((model.folder / "tokenizer.json").read_text("utf-8"))
    parts["model"]["vocab"]["rain"] = 10**6
    model.edit("tokenizer.json", model=parts["model"])


# Odd values, and what the line says of each: the file, the setting, the value.
NAMED: dict[str, tuple[Callable[[Model], Any], str]] = {
    "dtype": (config(dtype="zz"), 'config.json: "dtype" is "zz" (module \'torch\' has no'),
    "dtype a list": (config(dtype=[]), 'config.json: "dtype" is []'),
    "activation": (config(hidden_act="zz"), 'config.json: "hidden_act" is "zz"'),
    "activation a number": (config(hidden_act=7), 'config.json: "hidden_act" is 7 (expected str'),
    "dropout": (config(hidden_dropout_prob=7), 'config.json: "hidden_dropout_prob" is 7 (dropout'),
    "heads": (
        config(num_attention_heads=3),
        'config.json: "hidden_size" is 32 (The hidden size (3',
    ),
    "labels": (config(id2label={"x": "a"}), 'config.json: the keys of "id2label" are not numbers'),
    "type": (config(model_type="evil"), "config.json: transformers cannot load this model ("),
    "normalizer": (tokenizer(normalizer=7), 'tokenizer.json: "normalizer" is 7 (data did not'),
    "added tokens": (tokenizer(added_tokens=7), 'tokenizer.json: "added_tokens" is 7 (invalid'),
    "model": (tokenizer(model=[]), 'tokenizer.json: "model" is [] (data did not'),
    "side": (settings(padding_side="up"), 'tokenizer_config.json: "padding_side" is "up"'),
    "padding": (settings(pad_token=7), 'tokenizer_config.json: "pad_token" is 7 (Special'),
    "rows": (
        a_token_without_a_row,
        "tokenizer.json: token 'rain' has the number 1000000, and the embeddings have ",
    ),
}


def spoiled(value: float) -> Callable[[Model], None]:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors["bert.encoder.layer.1.output.dense.bias"][3] = value

    return lambda model: model.tensors(change)


def lacking(*keys: str) -> Callable[[Model], None]:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        for key in keys:
            del tensors[key]

    return lambda model: model.tensors(change)


# Found when the weights are read: name -> (how, the commands that must refuse).
USING = ("evaluate", "predict", "export", "load")
ALL = ("finetune", *USING, "embed", "search")
INCOMPLETE: dict[str, tuple[Callable[[Model], Any], tuple[str, ...]]] = {
    "NaN in the encoder": (spoiled(float("nan")), ALL),
    "infinity in the encoder": (spoiled(float("-inf")), ALL),
    "no head": (lacking("classifier.weight", "classifier.bias"), USING),
    "half a head": (lacking("classifier.bias"), USING),
    "a layer lacks a part": (lacking("bert.encoder.layer.1.output.dense.weight"), ALL),
    "another vocabulary": (config(vocab_size=500), ALL),
    "no embeddings": (lacking("bert.embeddings.word_embeddings.weight"), ALL),
}


@pytest.fixture
def model(tmp_path: Path, tiny_classifier_folder: Path) -> Model:
    folder = Path(shutil.copytree(tiny_classifier_folder, tmp_path / "model"))
    return Model(folder, tmp_path / "marker")


@pytest.fixture
def attempt(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, Path], tuple[int, str]]:
    """Give a model to a command; return its exit code and the one line it says."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data = write_csv(tmp_path / "data.csv", toy_rows(24))
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("rain\nsoup\n", "utf-8")

    def go(command: str, folder: Path) -> tuple[int, str]:
        if command == "load":
            try:
                hfkit.load(str(folder), device="cpu").predict("rain and sun")
            except HfkitError as error:
                return error.exit_code, str(error)
            return 0, ""
        arguments = {
            "finetune": [data, "-m", folder, "-o", tmp_path / "out", "--max-steps", 1],
            "evaluate": [folder, data],
            "predict": [folder, "rain and sun"],
            "embed": [folder, "rain and sun"],
            "search": [folder, corpus, "rain"],
            "export": [folder],
        }[command]
        if command in ("finetune", "evaluate", "predict", "embed", "search"):
            arguments = [*arguments, "--device", "cpu"]
        capfd.readouterr()
        code = command_line([command, *map(str, arguments), "-q"])
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        if code == 0:
            return 0, err
        assert out == ""
        assert err.count("\n") == 1, err
        assert err.startswith("hfkit: error: ")
        return code, err

    return go


def test_the_traps_would_leave_the_marker(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    pickle.loads(model.payload())
    assert model.marker.exists()
    model.marker.rmdir()
    model.trap("evil.py")
    exec((model.folder / "evil.py").read_text("utf-8"), {})
    assert model.marker.exists()


@pytest.mark.parametrize("case", REFUSED)
def test_what_could_run_code_or_lead_out_is_refused(model: Model, attempt, case: str) -> None:
    REFUSED[case](model)
    for command in ALL:
        code, line = attempt(command, model.folder)
        assert code == 3, (command, line)
        assert not model.marker.exists(), command
        TRIED["hostile"] += 1
    assert not (model.folder.parent / "out").exists()
    assert not (model.folder / "onnx").exists()


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_is_named(model: Model, attempt, case: str) -> None:
    BROKEN[case](model)
    for command in ALL:
        code, line = attempt(command, model.folder)
        assert code == 2, (command, line)
        assert not model.marker.exists(), command
        TRIED["broken"] += 1


@pytest.mark.parametrize("case", NAMED)
def test_an_odd_value_is_named_with_its_file(model: Model, attempt, case: str) -> None:
    spoil, says = NAMED[case]
    spoil(model)
    for command in ALL[:: counts(3, 1)]:
        code, line = attempt(command, model.folder)
        assert (code, f"/model/{says}" in line) == (2, True), (command, line)
        TRIED["odd"] += 1


def test_how_a_model_computes_is_not_for_its_author_to_say(model: Model, attempt) -> None:
    model.edit("config.json", return_dict=False, chunk_size_feed_forward="zz")
    assert attempt("predict", model.folder) == (0, "")


@pytest.mark.parametrize("case", INCOMPLETE)
def test_weights_that_give_no_answers_are_refused(model: Model, attempt, case: str) -> None:
    spoil, commands = INCOMPLETE[case]
    spoil(model)
    for command in commands:
        code, line = attempt(command, model.folder)
        assert code == 2, (command, line)
        TRIED["incomplete"] += 1


def test_what_is_never_read_does_no_harm(
    model: Model, attempt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Good weights among traps: every command does its work, and none of them goes off."""
    for name in ("pytorch_model.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth",
                 "training_args.bin", "model_head.pkl", "model_head.joblib"):  # fmt: skip
        model.write(name, model.payload())
    model.edit("config_setfit.json", labels=["a"])
    model.trap("custom_generate/generate.py")
    model.trap("modeling_evil.py")
    model.trap("model/model.py")  # a script of a data set, or a metric, of the folder's name
    own = {"auto_map": {"AutoProcessor": "modeling_evil.Evil"}}
    for name in ("generation_config.json", "preprocessor_config.json", "processor_config.json"):
        model.edit(name, **own, custom_generate="custom_generate")
    escape = "{{ ''.__class__.__mro__[1].__subclasses__() }}"
    endless = "{% for a in range(10**9) %}{% for b in range(10**9) %}{% endfor %}{% endfor %}"
    model.edit("tokenizer_config.json", chat_template=escape + endless)
    model.write("chat_template.jinja", endless.encode())
    for name in ("accuracy", "f1", "squad", "seqeval", "torch", "transformers", "evaluate"):
        trap = f"open({str(model.marker)!r}, 'w').close()\nraise SystemExit(9)\n"
        (tmp_path / f"{name}.py").write_text(trap, "utf-8")
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.py").write_text(trap, "utf-8")
    monkeypatch.chdir(tmp_path)
    for command in ALL:
        assert attempt(command, model.folder)[0] == 0, command
    for metric in ("accuracy", "f1"):
        code = command_line(["evaluate", "model", "data.csv", "--metric", metric, "-q"])
        assert code == 0
    assert command_line(["finetune", "accuracy", "-m", "model", "-o", "other", "-q"]) == 2
    assert not model.marker.exists()


def test_the_class_of_a_step_is_not_imported(model: Model, attempt) -> None:
    model.trap("evil.py")
    steps = [{"idx": 0, "name": "0", "path": "", "type": "evil.Transformer"}]
    (model.folder / "modules.json").write_text(json.dumps(steps), "utf-8")
    for command in ("embed", "search"):
        assert attempt(command, model.folder)[0] == 3
    steps[0]["type"] = "sentence_transformers.models.Dense"
    (model.folder / "modules.json").write_text(json.dumps(steps), "utf-8")
    assert attempt("embed", model.folder)[0] == 2
    assert not model.marker.exists()


def test_the_settings_of_a_run_name_no_code(model: Model, attempt) -> None:
    """A run's own settings are somebody else's too."""
    model.trap("evil.py")
    path = model.folder / "hfkit.yaml"
    for task in ("evil:Task", "os:system"):
        path.write_text(f"task: {task}\n", "utf-8")
        assert attempt("predict", model.folder)[0] == 3
    path.write_text("task: !!python/object/apply:os.system ['true']\n", "utf-8")
    assert attempt("predict", model.folder)[0] == 2
    assert not model.marker.exists()


def test_an_exported_file_that_lies_elsewhere_is_refused(model: Model, attempt) -> None:
    assert attempt("export", model.folder)[0] == 0
    graph = model.folder / "onnx" / "model.onnx"
    shutil.move(graph, model.folder.parent / "model.onnx")
    graph.symlink_to(model.folder.parent / "model.onnx")
    for command in ("predict", "evaluate", "load"):
        assert attempt(command, model.folder)[0] == 3


@pytest.mark.parametrize("kind", ["classification", "vectors"])
def test_one_bit_of_a_run_is_noticed(
    attempt, tmp_path: Path, tiny_base_folder: Path, kind: str, measured
) -> None:
    """Of every file that a run's answers depend on, at its first, middle and last letter."""
    run = tmp_path / "run"
    data = write_csv(tmp_path / "train.csv", toy_rows(40))
    flags = ["-t", "similarity"] if kind == "vectors" else []
    if kind == "vectors":
        rows = [{"text_a": f"a {n}", "text_b": f"b {n}", "score": n % 5} for n in range(40)]
        data = write_csv(tmp_path / "train.csv", rows)
    arguments = ["finetune", data, "-m", tiny_base_folder, "-o", run, "--max-steps", 1, *flags]
    assert command_line([*map(str, arguments), "--device", "cpu", "-q"]) == 0
    command = "embed" if kind == "vectors" else "predict"
    assert attempt(command, run)[0] == 0
    unread = ("README.md", "metrics.json", "metrics.jsonl", "manifest.json",
              "sentence_bert_config.json")  # fmt: skip
    tried = 0
    for path in sorted(run.rglob("*")):
        if not path.is_file() or path.name in unread or path.parent.name == "2_Normalize":
            continue
        whole = path.read_bytes()
        for place in {0, len(whole) // 2, len(whole) - 2} if whole else ():
            flipped = bytearray(whole)
            flipped[place] ^= 1
            path.write_bytes(flipped)
            code, line = attempt(command, run)
            assert code in (2, 3), (path.name, place, line)
            tried += 1
        path.write_bytes(whole)
    assert attempt(command, run)[0] == 0
    measured("M5", f"one bit of a file of a run of {kind} flipped", flips=tried, unnoticed=0)


def no_special_tokens(tokenizer: dict[str, Any]) -> None:
    tokenizer["post_processor"]["special_tokens"] = {}


def a_second_text_of_one(tokenizer: dict[str, Any]) -> None:
    tokenizer["post_processor"]["single"] = [{"Sequence": {"id": "B", "type_id": 0}}]


def merges_into_nothing(tokenizer: dict[str, Any]) -> None:
    tokenizer["model"] = {
        "type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"],
        "continuing_subword_prefix": "######",
    }  # fmt: skip


def no_table_of_characters(tokenizer: dict[str, Any]) -> None:
    tokenizer["normalizer"] = {"type": "Precompiled", "precompiled_charsmap": "AAAA"}


PANICS = [no_special_tokens, a_second_text_of_one, merges_into_nothing, no_table_of_characters]


@pytest.mark.processes
@pytest.mark.parametrize("spoil", PANICS, ids=lambda spoil: spoil.__name__)
def test_a_tokenizer_that_rust_gives_up_on_is_one_line(
    model: Model, tmp_path: Path, spoil: Callable[[dict[str, Any]], None], measured
) -> None:
    """In a process of its own: what Rust prints goes past Python."""
    path = model.folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text("utf-8"))
    spoil(tokenizer)
    path.write_text(json.dumps(tokenizer), "utf-8")
    data = write_csv(tmp_path / "data.csv", toy_rows(24))
    name = str(model.folder)
    commands = [
        ["predict", name, "rain and sun"],
        ["evaluate", name, str(data)],
        ["finetune", str(data), "-m", name, "-o", str(tmp_path / "out"), "--max-steps", "1"],
        ["export", name],
    ]
    for command in commands:
        fork = start([*command, "-q"], tmp_path / "said")
        assert fork.wait() == 2, (command[0], fork.stderr)
        (line,) = fork.stderr.splitlines()
        assert line.startswith(f"hfkit: error: {path}: ") and '" is {' in line
    measured("M4", f"a tokenizer that Rust gives up on: {spoil.__name__.replace('_', ' ')}",
             commands=len(commands), lines=len(commands))  # fmt: skip


def test_what_was_tried(measured) -> None:
    """Last, so that it counts what the tests above have done."""
    cases = {"hostile": REFUSED, "broken": BROKEN, "odd": NAMED, "incomplete": INCOMPLETE}
    for (kind, promise), exit_code in zip(
        (("hostile", "M1"), ("broken", "M4"), ("odd", "M4"), ("incomplete", "R7")),
        (3, 2, 2, 2),
        strict=True,
    ):
        if TRIED[kind]:
            measured(promise, f"{kind} models, each with every command: exit {exit_code}",
                     models=len(cases[kind]), attempts=TRIED[kind], ran=0)  # fmt: skip
