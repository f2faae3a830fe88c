"""`hfkit estimate`: from a configuration alone, beside what a process really takes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from toys import SMALL, tiny_config, write_base_model, write_generator, write_writer

import hfkit
from hfkit.cli.app import run
from hfkit.errors import InputError
from hfkit.run.fresh import run_fresh

GENEROUS = 0.3


def test_parameters_are_those_of_the_model(tmp_path) -> None:
    from transformers import AutoModelForTokenClassification

    tiny_config("bert").save_pretrained(tmp_path)
    found = hfkit.estimate(tmp_path, task="ner", batch_size=2, max_length=16, device="cpu")
    model = AutoModelForTokenClassification.from_config(tiny_config("bert", num_labels=2))
    assert found.parameters == found.learning == sum(p.numel() for p in model.parameters())
    assert not list(tmp_path.glob("*.safetensors"))


def test_a_model_with_labels_of_its_own_is_counted_with_them(tiny_classifier_folder) -> None:
    from safetensors.numpy import load_file

    weights = load_file(tiny_classifier_folder / "model.safetensors")
    found = hfkit.estimate(tiny_classifier_folder, batch_size=2, max_length=16, device="cpu")
    assert found.parameters == sum(weight.size for weight in weights.values())


@pytest.mark.parametrize("family", ["distilbert", "roberta", "modernbert", "deberta-v2"])
def test_families_need_no_formula(tmp_path, family) -> None:
    tiny_config(family).save_pretrained(tmp_path)
    found = hfkit.estimate(tmp_path, task="classification", batch_size=2, max_length=16)
    assert found.sizes[0].training.activations_bytes > 0


def test_tied_weights_count_once(tmp_path) -> None:
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    for name, make, auto in (("t5", write_writer, AutoModelForSeq2SeqLM),
                             ("gpt2", write_generator, AutoModelForCausalLM)):  # fmt: skip
        folder = make(tmp_path / name, name)
        found = hfkit.estimate(folder, batch_size=2, max_length=16, max_target_length=8)
        assert found.task == {"t5": "text2text", "gpt2": "generation"}[name]
        assert found.parameters == auto.from_pretrained(folder).num_parameters()


def test_more_rows_and_tokens_take_more_and_less_is_kept_on_request(tmp_path) -> None:
    tiny_config("bert").save_pretrained(tmp_path)

    def training(**settings):
        settings = {"batch_size": "8", "max_length": "64", "device": "cpu"} | settings
        return hfkit.estimate(tmp_path, task="classification", precision="fp32", **settings)

    plain, wide = training(), training(batch_size="8,16", max_length="64,128")
    sizes = [size.training.activations_bytes for size in wide.sizes]
    assert sizes[0] == plain.sizes[0].training.activations_bytes
    few, few_longer, many, many_longer = sizes  # rows outside, tokens inside
    assert few < few_longer < many_longer and few < many < many_longer
    assert few_longer > 2 * few, "attention keeps scores of pairs of tokens"
    small = training(gradient_checkpointing=True).sizes[0].training
    assert small.activations_bytes < plain.sizes[0].training.activations_bytes
    adapted = training(lora="r=2")
    assert adapted.learning < adapted.parameters / 5
    assert adapted.sizes[0].training.optimizer_bytes == 8 * adapted.learning
    frugal = training(optim="adamw8bit").sizes[0].training
    assert frugal.optimizer_bytes < plain.sizes[0].training.optimizer_bytes / 3


def test_a_text_that_is_written_is_kept_for_every_beam(tmp_path) -> None:
    folder = write_writer(tmp_path / "t5", "t5")
    settings = json.loads((folder / "config.json").read_text())

    def answered(written):
        found = hfkit.estimate(folder, batch_size=2, max_length=64, device="cpu",
                               max_target_length=written)  # fmt: skip
        return found.sizes[0].prediction.activations_bytes

    kept = 2 * 4 * settings["num_decoder_layers"] * settings["num_heads"] * settings["d_kv"]
    rows = 4096 // 64 * 4  # tokens of a batch, and beams
    few, many = answered(8), answered(72)
    assert few >= rows * 64 * kept, "keys and values of each token that is read"
    assert many >= rows * (64 + 72) * kept and many > few, "and of each that is written"


def test_a_gpu_is_computed_and_said_to_be(tmp_path, capsys) -> None:
    tiny_config("bert").save_pretrained(tmp_path)
    arguments = ["estimate", str(tmp_path), "-t", "ner", "-b", "2", "--max-length", "16"]
    assert run([*arguments, "--device", "cuda"]) == 0
    assert "not measured on a GPU" in capsys.readouterr().out
    assert run([*arguments, "--device", "cuda", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["compared_with_measured_peaks"] is False and found["precision"] == "bf16"


def test_a_size_is_enough_and_steps_can_be_timed() -> None:
    found = hfkit.estimate(config_size="tiny", vocab_size=500, task="classification",
                           batch_size=2, max_length=16, device="cpu", measure=True)  # fmt: skip
    assert found.sizes[0].seconds and all(found.sizes[0].seconds.values())


def test_what_it_cannot_estimate_is_an_error(tmp_path) -> None:
    tiny_config("bert").save_pretrained(tmp_path)
    for wrong in ({}, {"model": str(tmp_path), "config_size": "tiny"},
                  {"model": str(tmp_path), "batch_size": "many"},
                  {"model": str(tmp_path), "max_length": str(SMALL["max_position_embeddings"] + 1)},
                  {"model": str(tmp_path / "nowhere")}):  # fmt: skip
        with pytest.raises(InputError):
            hfkit.estimate(**wrong)


def test_it_is_near_what_a_process_takes(tmp_path) -> None:
    folder = write_base_model(tmp_path / "base", hidden_size=256, num_hidden_layers=4,
                              num_attention_heads=4, intermediate_size=1024,
                              vocab_size=8000)  # fmt: skip
    data = tmp_path / "rows.csv"
    text = " ".join(["rain"] * 62)
    data.write_text("text,label\n" + "".join(f"{text} {n % 10},{'ab'[n % 2]}\n" for n in range(60)))
    sizes = ["--batch-size", "16", "--max-length", "64", "--device", "cpu"]
    command = [sys.executable, "-m", "hfkit", "finetune", str(data), "-m", str(folder), "-t",
               "classification", "-o", str(tmp_path / "run"), *sizes, "--precision", "fp32",
               "--max-steps", "2", "--quiet", "--offline"]  # fmt: skip
    measured = run_fresh(command).peak_mib
    done = subprocess.run([sys.executable, "-m", "hfkit", "estimate", str(folder), "-t",
                           "classification", *sizes, "--precision", "fp32", "--json"],
                          capture_output=True, text=True, check=True)  # fmt: skip
    peak = json.loads(done.stdout)["sizes"][0]["training"]["peak_bytes"] / 2**20
    assert abs(peak / measured - 1) < GENEROUS, (peak, measured)
