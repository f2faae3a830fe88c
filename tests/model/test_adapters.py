"""Adapters in models of many families: what learns, what is saved, and that it adds up."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from toys import WRITERS, tiny_config, write_base_model, write_tokenizer, write_writer

from hfkit.errors import HfkitError, InputError, SafetyError
from hfkit.model import adapted
from hfkit.model.adapters import attach, detach, freeze
from hfkit.model.folder import write_folder
from hfkit.model.load import load_anew, load_for_prediction
from hfkit.model.locate import Located
from hfkit.model.lora import parse
from hfkit.model.unpad import unpad

CLASSIFIER = "AutoModelForSequenceClassification"
TOKENS = "AutoModelForTokenClassification"
WRITER = "hfkit.model.writer:Writer"
EMBEDDER = "hfkit.model.heads:Embedder"
NAMES = ["kitchen", "music", "weather"]
HEAD = {
    "num_labels": 3,
    "id2label": dict(enumerate(NAMES)),
    "label2id": {name: number for number, name in enumerate(NAMES)},
    "problem_type": "single_label_classification",
}
# Family and class -> the layers that have adapters, and what is trained whole.
CASES: dict[tuple[str, str], tuple[set[str], set[str]]] = {
    ("bert", CLASSIFIER): ({"query", "value"}, {"classifier", "bert.pooler.dense"}),
    ("bert", TOKENS): ({"query", "value"}, {"classifier"}),
    ("bert", EMBEDDER): ({"query", "value"}, set()),
    ("roberta", CLASSIFIER): ({"query", "value"}, {"classifier"}),
    ("deberta-v2", CLASSIFIER): ({"query_proj", "value_proj"}, {"classifier", "pooler"}),
    ("modernbert", CLASSIFIER): ({"Wqkv"}, {"classifier", "head"}),
    ("distilbert", CLASSIFIER): ({"q_lin", "v_lin"}, {"classifier", "pre_classifier"}),
    ("electra", CLASSIFIER): ({"query", "value"}, {"classifier"}),
    ("mpnet", CLASSIFIER): ({"q", "v"}, {"classifier"}),
    ("albert", CLASSIFIER): ({"query", "value"}, {"classifier", "albert.pooler"}),
    ("gpt2", CLASSIFIER): ({"c_attn"}, {"score"}),
    ("t5", CLASSIFIER): ({"q", "v"}, {"classification_head"}),
    ("t5", WRITER): ({"q", "v"}, set()),
    ("bart", WRITER): ({"q_proj", "v_proj"}, set()),
}
IDS = ["-".join((family, name.rpartition(":")[2])) for family, name in CASES]
SIZES: dict[str, dict[str, Any]] = {
    "gpt2": {
        "vocab_size": 400, "n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 160,
        "pad_token_id": 0,
    },
    "electra": {"embedding_size": 32},
    "albert": {"embedding_size": 16},
}  # fmt: skip


def write_base(folder: Path, family: str, auto_class: str) -> Path:
    """A base model as the Hub has it: without the head, a BERT without a pooler too."""
    from transformers import AutoConfig, AutoModel

    if auto_class == WRITER:
        return write_writer(folder, family)
    if family in ("gpt2", "t5"):
        config = AutoConfig.for_model(family, **(SIZES.get(family) or WRITERS["t5"]))
    else:
        config = tiny_config(family, **SIZES.get(family, {}))
    torch.manual_seed(0)
    model = AutoModel.from_config(config)
    state = {name: t for name, t in model.state_dict().items() if ".pooler" not in f".{name}"}
    model.save_pretrained(folder, state_dict=state)
    return write_tokenizer(folder)


def load(folder: Path, auto_class: str) -> tuple[Any, list[str]]:
    head = {} if auto_class in (WRITER, EMBEDDER) else HEAD
    return load_anew(folder, auto_class, head, dropout=0.0, seed=1)


def read_ids() -> torch.Tensor:
    """Three rows, which end as T5 wants it."""
    ids = torch.arange(5, 29).reshape(3, 8)
    ids[:, -1] = 3
    return ids


def outputs(model: Any) -> torch.Tensor:
    ids = read_ids()
    given: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if hasattr(model, "hfkit_sampling") or "ConditionalGeneration" in type(model).__name__:
        given["decoder_input_ids"] = ids[:, :4]
    model.eval()
    with torch.no_grad():
        found = model(**given)
    for name in ("logits", "embeddings", "last_hidden_state"):
        if getattr(found, name, None) is not None:
            tensor: torch.Tensor = getattr(found, name)
            return tensor
    raise AssertionError(found)


def learn(model: Any, steps: int = 3) -> None:
    """A few steps after which no adapter is zero."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=0.05)
    ids = read_ids()
    given: dict[str, Any] = {"input_ids": ids}
    if hasattr(model, "hfkit_sampling"):
        given["decoder_input_ids"] = ids[:, :4]
    model.train()
    for _ in range(steps):
        found = model(**given)
        output = found.embeddings if hasattr(found, "embeddings") else found.logits
        weights = torch.linspace(-1, 1, output.numel()).reshape(output.shape)
        (output * weights).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()


@pytest.fixture(scope="module", params=list(CASES), ids=IDS)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A case, its base model, what it was before, its outputs unmerged, its folder, the model."""
    family, auto_class = request.param
    folder = tmp_path_factory.mktemp("adapted")
    base = write_base(folder / "base", family, auto_class)
    model, new = load(base, auto_class)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    attach(model, parse("r=4,targets=attention"), new, seed=1)
    untouched = outputs(model)
    learn(model)
    unmerged = outputs(model)
    adapter = detach(model)
    located = Located(base, str(base), None)
    run = folder / "run"
    write_folder(
        run, model, base, max_length=64, adapter=adapter,
        base=adapted.describe_base(located, run),
    )  # fmt: skip
    return request.param, base, before, untouched, unmerged, adapter, run, model


def test_adapters_begin_with_nothing(trained: Any) -> None:
    (_, auto_class), base, _, untouched, *_ = trained
    model, _ = load(base, auto_class)
    assert torch.equal(outputs(model), untouched)


def test_targets_and_what_is_whole(trained: Any) -> None:
    case, *_, adapter, _, _ = trained
    names = {path.rpartition(".")[2] for path in adapter.targets}
    assert (names, set(adapter.new)) == CASES[case]
    config = json.loads((trained[6] / adapted.CONFIG).read_text())
    assert config["modules_to_save"] == list(adapter.new)


def test_only_adapters_and_what_is_new_change(trained: Any) -> None:
    (_, auto_class), _, before, *_, adapter, _, model = trained
    prefix = "encoder." if auto_class == EMBEDDER else ""
    changed = {name for name, v in model.state_dict().items() if not torch.equal(v, before[name])}
    may = tuple(f"{prefix}{path}." for path in (*adapter.targets, *adapter.new))
    assert changed and all(name.startswith(may) for name in changed), changed
    targets = {f"{prefix}{path}.weight" for path in adapter.targets}
    assert targets <= changed
    assert not any(name.endswith(".bias") and name.replace("bias", "weight") in targets
                   for name in changed)  # fmt: skip


def test_merged_equals_unmerged(trained: Any) -> None:
    unmerged, model = trained[4], trained[7]
    assert (outputs(model) - unmerged).abs().max() < 1e-4 * unmerged.abs().max()


def test_what_is_opened_again_is_what_was_scored(trained: Any) -> None:
    (_, auto_class), *_, run, model = trained
    opened = load_for_prediction(run, auto_class)
    assert torch.equal(outputs(opened), outputs(model))
    own = model.state_dict()
    assert all(
        torch.equal(value, own[name])
        for name, value in opened.state_dict().items()
        if auto_class != EMBEDDER or ".pooler" not in name  # which has no part in a vector
    )


@pytest.mark.filterwarnings("ignore")  # of peft's own
def test_peft_reads_the_adapter(trained: Any) -> None:
    import transformers
    from peft import PeftModel

    (_, auto_class), base, *_, run, model = trained
    name = {WRITER: "AutoModelForSeq2SeqLM", EMBEDDER: "AutoModel"}.get(auto_class, auto_class)
    config = transformers.AutoConfig.from_pretrained(run)
    plain = getattr(transformers, name).from_pretrained(base, config=config)
    found = PeftModel.from_pretrained(plain, run / "adapter")
    wanted = outputs(model.encoder if auto_class == EMBEDDER else model)
    ids = read_ids()
    given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if auto_class == WRITER:
        given["decoder_input_ids"] = ids[:, :4]
    found.eval()
    with torch.no_grad():
        output = found(**given)
    own = output.last_hidden_state if auto_class == EMBEDDER else output.logits
    assert (own - wanted).abs().max() < 1e-4 * wanted.abs().max()


@pytest.mark.parametrize("family", ["bert", "modernbert", "deberta-v2", "distilbert", "mpnet"])
def test_adapters_compute_without_padding(family: str, tmp_path: Path) -> None:
    model, new = load(write_base(tmp_path / "base", family, CLASSIFIER), CLASSIFIER)
    attach(model, parse("r=4,targets=all"), new, seed=1)
    learn(model)
    rows = torch.tensor([[5, 6, 7, 8, 3], [9, 3, 0, 0, 0]])
    given = {"input_ids": rows, "attention_mask": (rows != 0).long()}
    found = []
    for _ in range(2):
        model.zero_grad()
        model.eval()
        model(**given).logits.square().sum().backward()
        found.append({n: p.grad for n, p in model.named_parameters() if p.requires_grad})
        assert len(found) == 2 or unpad(model, gradients=True)
    assert found[0].keys() == found[1].keys()
    for name, gradient in found[0].items():
        assert gradient is not None and gradient.abs().max() > 0, name
        torch.testing.assert_close(found[1][name], gradient, rtol=1e-3, atol=1e-5)


def test_all_linear_layers(tiny_base_folder: Path) -> None:
    model, new = load(tiny_base_folder, CLASSIFIER)
    attach(model, parse("r=2,targets=all"), new, seed=1)
    names = {path.rpartition(".")[2] for path in detach(model).targets}
    assert names == {"query", "key", "value", "dense"}
    model, new = load(tiny_base_folder, CLASSIFIER)
    attach(model, parse("r=2,targets=query+dense"), new, seed=1, without_layers=1)
    paths = detach(model).targets
    assert {path.rpartition(".")[2] for path in paths} == {"query", "dense"}
    assert all(".layer.1." in path for path in paths)


def test_the_alpha_counts(tiny_base_folder: Path) -> None:
    def change(text: str) -> torch.Tensor:
        model, new = load(tiny_base_folder, CLASSIFIER)
        name = "bert.encoder.layer.0.attention.self.query.weight"
        before = model.state_dict()[name].clone()
        attach(model, parse(text), new, seed=1)
        layer = model.get_submodule(name.removesuffix(".weight"))
        torch.nn.init.ones_(layer.lora_B.default.weight)
        detach(model)
        return model.state_dict()[name] - before

    torch.testing.assert_close(change("r=4,alpha=8"), 4 * change("r=4,alpha=2"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("r=0", "whole number"),
        ("rank=4", "cannot read 'rank=4'"),
        ("r=4,r=5", "cannot read"),
        ("r=x", "not a number"),
        ("r=1.5", "whole number"),
        ("r=nan", "not a number"),
        ("r=4,alpha=-1", "alpha is above 0"),
        ("r=4,dropout=1", "dropout"),
        ("", "cannot read"),
    ],
)
def test_what_cannot_be_read(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse(text)


def test_a_layer_that_is_not_there(tiny_base_folder: Path) -> None:
    model, new = load(tiny_base_folder, CLASSIFIER)
    with pytest.raises(InputError, match="no layer is called 'quer'") as raised:
        attach(model, parse("r=4,targets=quer"), new, seed=1)
    assert raised.value.hint == "did you mean 'query'?"


@pytest.mark.parametrize("family", ["bert", "modernbert", "distilbert", "t5", "gpt2"])
def test_what_is_frozen_does_not_learn(family: str, tmp_path: Path) -> None:
    base = write_base(tmp_path / "base", family, CLASSIFIER)
    model, new = load(base, CLASSIFIER)
    before = {name: value.clone() for name, value in model.named_parameters()}
    freeze(model, new, embeddings=True, layers=1)
    learn(model)
    kept = {name for name, value in model.named_parameters() if torch.equal(value, before[name])}
    tables = {
        name
        for name in before
        if ("embed" in name and "norm" not in name.lower())
        or name.endswith(("wte.weight", "wpe.weight", "shared.weight"))
    }
    first = {name for name in before if re.search(r"(layers?|block|h)\.0\.", name)}
    first = {name for name in first if "decoder" not in name and ".1.layer" not in name}
    assert tables and first
    assert tables | first <= kept
    second = {name for name in before if re.search(r"(layers?|block|h)\.1\.(?!layer)", name)}
    assert not any("classifi" in name or "score" in name for name in kept)
    assert family == "t5" or (second and not second & kept)


def test_more_layers_than_there_are(tiny_base_folder: Path) -> None:
    model, new = load(tiny_base_folder, CLASSIFIER)
    with pytest.raises(InputError, match="the model has 2 layers"):
        freeze(model, new, embeddings=False, layers=3)


@pytest.fixture
def run(tmp_path: Path, tiny_base_folder: Path) -> Path:
    """The folder of an adapter, beside its base model."""
    base = Path(shutil.copytree(tiny_base_folder, tmp_path / "base"))
    model, new = load(base, CLASSIFIER)
    attach(model, parse("r=4"), new, seed=1)
    learn(model)
    adapter, folder = detach(model), tmp_path / "run"
    facts = adapted.describe_base(Located(base, str(base), None), folder)
    write_folder(folder, model, base, max_length=64, adapter=adapter, base=facts)
    return folder


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def spoil(change: Callable[[dict[str, torch.Tensor]], None]) -> Callable[[Path], None]:
    def apply(run: Path) -> None:
        tensors = load_file(run / adapted.TENSORS)
        change(tensors)
        save_file(tensors, run / adapted.TENSORS)

    return apply


QUERY = "base_model.model.bert.encoder.layer.0.attention.self.query.lora_A.weight"
HEAD_WEIGHT = "base_model.model.classifier.weight"


def renamed(tensors: dict[str, torch.Tensor]) -> None:
    tensors[QUERY.replace("layer.0", "layer.7")] = tensors.pop(QUERY)


WRONG: dict[str, tuple[Callable[[Path], None], str]] = {
    "another base": (
        lambda run: save_file(
            {n: t + 1 for n, t in load_file(run.parent / "base/model.safetensors").items()},
            run.parent / "base/model.safetensors",
        ),
        "not those that the adapter was trained on",
    ),
    "no base": (lambda run: shutil.rmtree(run.parent / "base"), "is not here"),
    "an adapter as the base": (
        lambda run: edit(run / adapted.BASE, place=".", name="."), "is not here"
    ),
    "places that are none": (lambda run: edit(run / adapted.BASE, place=["x"]), "damaged"),
    "a NUL": (lambda run: edit(run / adapted.BASE, place="a\0b"), "damaged"),
    "no files": (lambda run: edit(run / adapted.BASE, files={}), "damaged"),
    "files elsewhere": (
        lambda run: edit(
            run / adapted.BASE, files={"../outside.safetensors": {"size": 1, "sha256": ""}}
        ),
        "outside",
    ),
    "another kind": (lambda run: edit(run / adapted.CONFIG, use_dora=True), "use_dora"),
    "no number": (lambda run: edit(run / adapted.CONFIG, lora_alpha="1"), "lora_alpha"),
    "no rank": (lambda run: edit(run / adapted.CONFIG, r=True), '"r"'),
    "another rank": (lambda run: edit(run / adapted.CONFIG, r=2), "do not fit"),
    "a layer that is not there": (spoil(renamed), "do not fit"),
    "half an adapter": (spoil(lambda t: t.__delitem__(QUERY.replace("_A", "_B"))), "do not fit"),
    "another shape": (
        spoil(lambda t: t.update({QUERY: torch.zeros(4, 7)})), "do not fit"
    ),
    "another head": (
        spoil(lambda t: t.update({HEAD_WEIGHT: torch.zeros(2, 32)})), "does not fit"
    ),
    "no head": (spoil(lambda t: t.__delitem__(HEAD_WEIGHT)), "classifier.weight not in"),
    "NaN": (spoil(lambda t: t.update({QUERY: t[QUERY] * torch.nan})), "NaN"),
    "a pickle": (
        lambda run: (run / adapted.TENSORS).write_bytes(b"\x80\x02."), "pickle"
    ),
    "peft's own beside the weights": (
        lambda run: shutil.copy(run / adapted.CONFIG, run / "adapter_config.json") and None,
        "adapter",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_refused(name: str, run: Path) -> None:
    change, words = WRONG[name]
    change(run)
    with pytest.raises(HfkitError, match=words) as raised:
        load_for_prediction(run, CLASSIFIER)
    assert "hfkit-" not in f"{raised.value}"  # no folder of ours that is gone


def test_the_base_is_found_beside_and_inside(run: Path, tmp_path: Path) -> None:
    wanted = outputs(load_for_prediction(run, CLASSIFIER))
    moved = Path(shutil.move(run, tmp_path / "elsewhere" / "run"))
    shutil.move(tmp_path / "base", moved / "base")
    edit(moved / adapted.BASE, name="nowhere")
    assert torch.equal(outputs(load_for_prediction(moved, CLASSIFIER)), wanted)
    assert adapted.base_of(moved) == moved / "base"


def test_links_do_not_lead_out_of_it(run: Path) -> None:
    path = run / adapted.TENSORS
    shutil.move(path, run.parent / "outside")
    path.symlink_to(run.parent / "outside")
    with pytest.raises(SafetyError, match="link"):
        load_for_prediction(run, CLASSIFIER)


def test_a_base_in_parts(tmp_path: Path) -> None:
    from transformers import AutoModel

    base = write_base_model(tmp_path / "base")
    (base / "model.safetensors").unlink()
    AutoModel.from_config(tiny_config("bert")).save_pretrained(base, max_shard_size="40KB")
    model, new = load(base, CLASSIFIER)
    attach(model, parse("r=4"), new, seed=1)
    adapter, folder = detach(model), tmp_path / "run"
    facts = adapted.describe_base(Located(base, str(base), None), folder)
    assert len(facts["files"]) > 2
    write_folder(folder, model, base, max_length=64, adapter=adapter, base=facts)
    assert torch.equal(outputs(load_for_prediction(folder, CLASSIFIER)), outputs(model))
