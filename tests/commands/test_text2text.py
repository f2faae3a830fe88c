"""Summaries from the command line: training, going on, scores, predictions, and what is refused."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from toys import picked_rows, read_jsonl, write_base_model, write_csv, write_parts, write_writer

from hfkit import hashing
from hfkit.cli.app import run as command_line

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    sizes = {"train": 160, "validation": 24, "test": 40}
    return write_parts(tmp_path_factory.mktemp("picked"), sizes, picked_rows)


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("writers")
    return {family: write_writer(folder / family, family) for family in ("t5", "bart")}


def settings(files: dict[str, Path], base: Path, *more: object) -> list[str]:
    given = [
        "finetune", files["train"], "-m", base, "--validation", files["validation"], "--lr", "1e-2",
        "--max-length", 32, "--max-target-length", 6, "--device", "cpu", "--beams", 2, *more,
    ]  # fmt: skip
    return [str(one) for one in given]


@pytest.fixture(scope="module", params=["t5", "bart"])
def done(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    files: dict[str, Path],
    bases: dict[str, Path],
) -> Path:
    """A finished run that has learnt to pick the word."""
    out = tmp_path_factory.mktemp("runs") / request.param
    rate = {"t5": "1e-2", "bart": "5e-3"}[request.param]
    more = ["--lr", rate, "--epochs", 16, "--eval-every", 80, "--test", files["test"], "-o", out]
    assert command_line([*settings(files, bases[request.param], *more), "-q"]) == 0
    return out


def test_a_resumed_run_ends_with_the_same_bytes(
    assert_goes_on_exactly: Callable[..., None],
    files: dict[str, Path],
    bases: dict[str, Path],
    tmp_path: Path,
) -> None:
    more = ["--epochs", 1, "--batch-size", 32, "--checkpoint-every", 1, "--dropout", 0.1]
    assert_goes_on_exactly(settings(files, bases["t5"], *more), tmp_path)


def test_it_learns_and_says_what_it_guessed(
    hfkit: Command, files: dict[str, Path], bases: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    code, stdout, stderr = hfkit(*settings(files, bases["t5"], "--max-steps", 3, "-o", out))
    assert (code, stdout) == (0, f"{out}\n"), stderr
    assert "the task is summarization (the columns 'document' and 'summary')" in stderr
    assert "column 'summary' is the text to write" in stderr
    assert "num_beams=2, max_new_tokens=6" in stderr
    assert "rouge: F1" in stderr and "Traceback" not in stderr


def test_the_scores(done: Path) -> None:
    scores = json.loads((done / "metrics.json").read_text())["scores"]["test"]
    assert scores["values"]["exact_match"] > 0.8
    assert scores["values"]["rougeL"] > scores["baseline"]["rougeL"] + 0.3
    low, high = scores["intervals"]["rougeL"]
    assert low <= scores["values"]["rougeL"] <= high
    assert "rouge-score" in scores["tables"]["signatures"]["rouge"]
    card = (done / "README.md").read_text()
    assert "AutoModelForSeq2SeqLM" in card and "text2text-generation" in card


def test_transformers_loads_it_and_writes_the_same(
    hfkit: Command, done: Path, files: dict[str, Path]
) -> None:
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    model = AutoModelForSeq2SeqLM.from_pretrained(done)
    tokenizer = AutoTokenizer.from_pretrained(done)
    text = "the near old rain some"
    given = tokenizer(text, return_tensors="pt")
    given.pop("token_type_ids", None)
    theirs = tokenizer.decode(model.generate(**given)[0], skip_special_tokens=True)
    code, stdout, stderr = hfkit("predict", done, text)
    assert code == 0, stderr
    assert json.loads(stdout)["prediction"] == {"text": theirs.strip()}


def test_the_batch_size_does_not_show(hfkit: Command, done: Path, files: dict[str, Path]) -> None:
    def predicted(*flags: object) -> list[dict]:
        code, stdout, stderr = hfkit("predict", done, files["test"], "--format", "jsonl", *flags)
        assert code == 0, stderr
        return [json.loads(line) for line in stdout.splitlines()]

    expected = predicted()
    with files["test"].open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [{k: one[k] for k in rows[0]} for one in expected] == rows, "rows come out in order"
    for size in (1, 7):
        assert predicted("--batch-size", size) == expected
    assert predicted("--beams", 1, "-b", 1) == predicted("--beams", 1, "-b", 9)
    drawn = ["--sample", "--sample-temperature", 3]
    assert predicted(*drawn, "-b", 1) == predicted(*drawn, "-b", 9)
    assert predicted(*drawn) != predicted(*drawn, "--sample-seed", 1)


def test_predictions_are_scored_as_the_model_is(
    hfkit: Command, done: Path, files: dict[str, Path], tmp_path: Path
) -> None:
    code, stdout, stderr = hfkit("evaluate", done, files["test"], "--metric", "exact_match")
    assert code == 0, stderr
    expected = json.loads(stdout)
    assert expected["metric"] == "summaries"
    saved = json.loads((done / "metrics.json").read_text())["scores"]["test"]["values"]
    assert {name: expected["values"][name] for name in saved} == pytest.approx(saved)
    assert expected["values"]["exact_match:exact_match"] == saved["exact_match"]
    for name in ("answers.jsonl", "answers.csv"):
        code, _, stderr = hfkit("predict", done, files["test"], "-o", tmp_path / name)
        assert code == 0, stderr
        more = ["-t", "summarization"]
        code, stdout, stderr = hfkit("evaluate", tmp_path / name, files["test"], *more)
        assert code == 0, stderr
        assert json.loads(stdout)["values"] == pytest.approx(saved)
    code, stdout, _ = hfkit("evaluate", tmp_path / "answers.jsonl")
    assert code == 0 and {"bleu", "chrf++", "ter"} <= set(json.loads(stdout)["values"])
    code, _, stderr = hfkit("evaluate", done, files["test"], "--fail-under", "rougeL=1.1")
    assert code == 1 and "rougeL is" in stderr


@pytest.mark.processes
def test_two_processes_write_the_same(hfkit: Command, done: Path, files: dict[str, Path]) -> None:
    alone = hfkit("predict", done, files["test"])
    assert alone[0] == 0
    assert hfkit("predict", done, files["test"], "--num-processes", 2)[1] == alone[1]


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_an_interrupted_run_ends_with_the_same_weights(
    hfkit: Command, files: dict[str, Path], bases: dict[str, Path], tmp_path: Path, family: str
) -> None:
    more = ["--epochs", 1, "--dropout", 0.1, "--eval-every", 4]
    whole = settings(files, bases[family], *more, "-o", tmp_path / "whole")
    assert hfkit(*whole)[0] == 0
    cut = settings(files, bases[family], *more, "-o", tmp_path / "cut")
    code, _, stderr = hfkit(*cut, "--max-time", "0.001s")
    assert code == 75, stderr
    code, _, stderr = hfkit(*cut)
    assert code == 0 and "continuing from step" in stderr
    digests = [hashing.sha256(tmp_path / name / "model.safetensors") for name in ("whole", "cut")]
    assert digests[0] == digests[1]


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_cutting_a_batch_does_not_change_the_weights(
    hfkit: Command, files: dict[str, Path], bases: dict[str, Path], tmp_path: Path, family: str
) -> None:
    import torch
    from safetensors.torch import load_file

    def weights(name: str, *flags: object) -> torch.Tensor:
        more = ["--max-steps", 5, "--warmup", 0, "--lr", "5e-4", "--precision", "fp32", "-q"]
        out = tmp_path / name
        given = settings(files, bases[family], *more, *flags, "-o", out)
        assert hfkit(*given)[0] == 0
        found = load_file(out / "model.safetensors")
        return torch.cat([found[key].flatten().double() for key in sorted(found)])

    whole = weights("whole")
    for flags in (["--micro-batch", 3], ["--batch-tokens", 30], ["--gradient-checkpointing"]):
        cut = weights("".join(map(str, flags)), *flags)
        assert (whole - cut).norm() <= 1e-5 * whole.norm(), flags


def test_what_is_cut_is_counted(
    hfkit: Command, files: dict[str, Path], bases: dict[str, Path], tmp_path: Path
) -> None:
    rows = [{"document": "rain " * 50, "summary": "rain " * 20}, *picked_rows(30)]
    data = write_csv(tmp_path / "long.csv", rows)
    given = ["finetune", data, "-m", bases["t5"], "--max-length", 32, "--max-target-length", 6,
             "--max-steps", 1, "--beams", 1, "--validation", files["validation"]]  # fmt: skip
    code, _, stderr = hfkit(*given, "-o", tmp_path / "out")
    assert code == 0, stderr
    assert "1 of 31 texts are longer than 32 tokens and were cut" in stderr
    assert "1 of 31 right texts are longer than --max-target-length and were cut" in stderr
    code, _, stderr = hfkit(*given, "-o", tmp_path / "other", "--on-long", "error")
    assert code == 2 and "long.csv:2" in stderr and "52 tokens" in stderr
    code, _, stderr = hfkit("predict", tmp_path / "out", data)
    assert code == 0 and "1 of 31 texts are longer than the model reads" in stderr


def test_translations_of_the_hub(hfkit: Command, bases: dict[str, Path], tmp_path: Path) -> None:
    """A column with a text in each language; the metric goes by the language that is named."""
    data = tmp_path / "pairs.jsonl"
    rows = [
        {"id": n, "translation": {"en": f"rain {n % 5}", "zh": f"一丁{n % 5}"}} for n in range(40)
    ]
    data.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    out = tmp_path / "out"
    given = ["finetune", data, "-m", bases["bart"], "--max-steps", 2, "--max-target-length", 6,
             "--target-language", "zh", "-o", out]  # fmt: skip
    code, _, stderr = hfkit(*given)
    assert code == 0, stderr
    assert "the task is translation (the languages in 'translation')" in stderr
    assert "'translation.en' is the text" in stderr and "tok:zh" in stderr
    scores = json.loads((out / "metrics.json").read_text())["scores"]["validation"]
    assert scores["headline"] == "chrf++" and scores["baseline"]["chrf++"] < 30
    code, stdout, stderr = hfkit("predict", out, data)
    assert code == 0, stderr
    assert list(json.loads(stdout.splitlines()[0])) == ["id", "translation", "prediction"]
    code, _, stderr = hfkit("predict", out, "text=rain 3")
    assert code == 0, stderr
    back = ["--text-column", "translation.zh", "--target-column", "translation.en"]
    code, stdout, stderr = hfkit("evaluate", out, data, *back)
    assert code == 0, stderr


def test_a_dry_run(hfkit: Command, files: dict[str, Path], bases: dict[str, Path]) -> None:
    code, stdout, stderr = hfkit(*settings(files, bases["t5"], "--dry-run", "--json"))
    assert code == 0, stderr
    plan = json.loads(stdout)
    assert plan["task"] == "text2text" and plan["best_by"] == "rougeL"
    assert plan["columns"] == {"text": "document", "label": "summary"}
    assert plan["settings"]["options"]["purpose"] == "summarization"


def test_export_is_refused_politely(
    hfkit: Command, done: Path, files: dict[str, Path], bases: dict[str, Path]
) -> None:
    code, _, stderr = hfkit("export", done)
    assert code == 2 and "asked once for each token" in stderr
    code, _, stderr = hfkit(*settings(files, bases["t5"], "--export", "onnx"))
    assert code == 2 and "asked once for each token" in stderr


def test_models_that_do_not_write(
    hfkit: Command, files: dict[str, Path], tmp_path: Path, tiny_classifier_folder: Path
) -> None:
    base = write_base_model(tmp_path / "bert")
    code, _, stderr = hfkit(*settings(files, base, "-o", tmp_path / "out"))
    assert code == 2 and "a bert reads texts and writes none" in stderr
    code, _, stderr = hfkit("predict", tiny_classifier_folder, "a text", "-t", "summarization")
    assert code == 2 and "writes none" in stderr
    code, _, stderr = hfkit("finetune", files["train"], "-o", tmp_path / "out")
    assert code == 2 and "no base model that writes is named" in stderr


def test_a_model_from_elsewhere(hfkit: Command, bases: dict[str, Path]) -> None:
    code, stdout, stderr = hfkit("predict", bases["bart"], "rain", "--max-target-length", 4)
    assert code == 0, stderr
    assert "taking text2text for a BartForConditionalGeneration" in stderr
    assert isinstance(json.loads(stdout)["prediction"]["text"], str)


def test_kept_open_from_python(done: Path) -> None:
    import hfkit

    model = hfkit.load(str(done))
    first, second, third = model.predict(["the old rain", "", "my new oven"])
    assert isinstance(first["text"], str) and second == {"error": "the text is empty"}
    assert third == model.predict("my new oven")[0]


def test_a_damaged_way_of_writing_is_found(hfkit: Command, done: Path, tmp_path: Path) -> None:
    import shutil

    copy = shutil.copytree(done, tmp_path / "copy")
    path = copy / "generation_config.json"
    path.write_text(path.read_text().replace('"num_beams": 2', '"num_beams": 1'))
    code, _, stderr = hfkit("predict", copy, "the old rain")
    assert code == 2 and "damaged: generation_config.json" in stderr


def test_metrics_of_the_course(done: Path) -> None:
    found = [e for e in read_jsonl(done / "metrics.jsonl") if e["event"] == "evaluation"]
    assert found and set(found[0]["scores"]) == {
        "rouge1", "rouge2", "rougeL", "rougeLsum", "exact_match",
    }  # fmt: skip


def test_a_writer_from_scratch(
    hfkit: Command, files: dict[str, Path], bases: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    code, _, stderr = hfkit(
        "finetune", files["train"], "--config-file", bases["t5"] / "config.json",
        "--tokenizer", bases["t5"], "--validation", files["validation"], "--max-length", 32,
        "--max-target-length", 6, "--max-steps", 2, "--device", "cpu", "-o", out,
    )  # fmt: skip
    assert code == 0, stderr
    assert "all weights are new and random" in stderr and "max_new_tokens=6" in stderr
    assert hfkit("predict", out, "pick one", "--text")[0] == 0
