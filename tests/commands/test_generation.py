"""Generation from the command line: training, going on, scores, texts, and what is refused."""

from __future__ import annotations

import json
import math
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toys import CHAT_TEMPLATE, picked_rows, read_jsonl, write_base_model, write_generator

from hfkit.cli.app import run as command_line

Command = Callable[..., tuple[int, str, str]]


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def pairs(count: int, seed: int) -> list[dict[str, str]]:
    found = picked_rows(count, seed)
    return [{"prompt": row["document"], "completion": row["summary"]} for row in found]


def talks(count: int, seed: int) -> list[dict[str, Any]]:
    return [
        {"messages": [{"role": "user", "content": row["prompt"]},
                      {"role": "assistant", "content": row["completion"]}]}
        for row in pairs(count, seed)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data of all forms, and a base model of each family."""
    folder = tmp_path_factory.mktemp("generation")
    for name, make in (("pairs", pairs), ("talks", talks)):
        for part, count, seed in (("train", 160, 0), ("dev", 24, 1)):
            write_rows(folder / f"{name}_{part}.jsonl", make(count, seed))
    lines = [row["document"] for row in picked_rows(80, 2)]
    (folder / "texts.txt").write_text("\n".join(lines) + "\n")
    gentle = {"initializer_range": 0.05}
    write_generator(folder / "gpt2", "gpt2", **gentle)
    write_generator(folder / "llama", "llama", CHAT_TEMPLATE, **gentle)
    return folder


USUAL = ["--max-length", 32, "--lr", "1e-2", "--device", "cpu", "--precision", "fp32"]


@pytest.fixture(scope="module", params=["pairs", "talks"])
def done(request: pytest.FixtureRequest, place: Path) -> Path:
    """A finished run that has learnt to pick the word."""
    name = request.param
    base = place / {"pairs": "gpt2", "talks": "llama"}[name]
    out = place / f"run_{name}"
    arguments = [
        "finetune", place / f"{name}_train.jsonl", "-m", base, "-o", out,
        "--validation", place / f"{name}_dev.jsonl", "--epochs", 30, "--eval-every", 150,
        "--max-new-tokens", 6, *USUAL, "-q",
    ]  # fmt: skip
    assert command_line([str(one) for one in arguments]) == 0
    return out


def dev(done: Path) -> Path:
    return done.parent / f"{done.name.removeprefix('run_')}_dev.jsonl"


def values(folder: Path) -> dict[str, float]:
    scores = json.loads((folder / "metrics.json").read_text())["scores"]
    found: dict[str, float] = scores["validation"]["values"]
    return found


def test_it_learns_what_follows(done: Path) -> None:
    found = values(done)
    assert set(found) == {"loss", "perplexity", "accuracy"}
    assert found["accuracy"] > 0.8
    assert found["perplexity"] == pytest.approx(math.exp(found["loss"]))
    config = json.loads((done / "config.json").read_text())
    assert config["architectures"][0] in ("GPT2LMHeadModel", "LlamaForCausalLM")
    card = (done / "README.md").read_text()
    assert "AutoModelForCausalLM" in card and "text-generation" in card


def test_evaluate_gives_the_same_scores(hfkit: Command, done: Path) -> None:
    for size in (1, 9):
        code, out, err = hfkit("evaluate", done, dev(done), "--json", "-b", size)
        assert code == 0, err
        assert json.loads(out)["values"] == pytest.approx(values(done), abs=1e-5)


def test_what_is_written_is_scored_on_request(hfkit: Command, done: Path) -> None:
    code, out, err = hfkit("evaluate", done, dev(done), "--json", "--written")
    assert code == 0, err
    found = json.loads(out)
    assert found["values"]["loss"] == pytest.approx(values(done)["loss"], abs=1e-5)
    asked = {"pairs": "exact_match", "talks": "rouge1"}  # the template puts a dot behind a turn
    assert found["values"][asked[done.name.removeprefix("run_")]] > 0.7
    assert found["tables"]["tokens"] > 0 and "rouge" in found["tables"]["signatures"]


def test_answers_end_and_do_not_depend_on_the_batch(
    hfkit: Command, done: Path, tmp_path: Path
) -> None:
    rows = read_jsonl(dev(done))
    right = [row.pop("completion", None) or row["messages"].pop()["content"] for row in rows]
    path = write_rows(tmp_path / "asked.jsonl", rows)

    def predicted(*flags: object) -> list[dict[str, Any]]:
        code, stdout, stderr = hfkit("predict", done, path, "--format", "jsonl", *flags)
        assert code == 0, stderr
        return [json.loads(line) for line in stdout.splitlines()]

    expected = predicted()
    assert [{key: one[key] for key in rows[0]} for one in expected] == rows
    hits = sum(one["prediction"]["text"].split()[:1] == [word]
               for one, word in zip(expected, right, strict=True))  # fmt: skip
    assert hits > 0.7 * len(rows)
    for flags in (["-b", 1], ["-b", 7]):
        assert predicted(*flags) == expected
        drawn = ["--sample", "--sample-temperature", 3, "--sample-seed", 5]
        assert predicted(*drawn, *flags) == predicted(*drawn)


def test_how_to_draw_is_not_dropped_in_silence(hfkit: Command, done: Path) -> None:
    command = ["predict", done, "the near old rain", "--sample-seed", 3, "--sample-top-k", 2]
    says = "--sample-top-k, --sample-seed: no part without --sample"
    assert says in hfkit(*command)[2]
    drawn = hfkit(*command, "--sample", "--beams", 3)[2]
    assert says not in drawn and "--beams: no part with --sample" in drawn


def test_transformers_loads_it_and_writes_the_same(hfkit: Command, done: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(done)
    tokenizer = AutoTokenizer.from_pretrained(done)
    asked = "the near old rain some"
    if done.name == "run_talks":
        messages = [{"role": "user", "content": asked}]
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    else:
        text = f"[CLS] {asked}"
    given = tokenizer(text, return_tensors="pt", add_special_tokens=False)
    given.pop("token_type_ids", None)
    written = model.generate(**given)[0, given["input_ids"].shape[1] :]
    theirs = tokenizer.decode(written, skip_special_tokens=True)
    code, stdout, stderr = hfkit("predict", done, asked)
    assert code == 0, stderr
    assert json.loads(stdout)["prediction"]["text"].strip() == theirs.strip()
    assert len(written) < 6, "it does not know when to stop"


def test_stop_words(hfkit: Command, place: Path) -> None:
    more = ["--max-new-tokens", 9, "--min-new-tokens", 9]
    _, stdout, _ = hfkit("predict", place / "gpt2", "the near rain", *more)
    whole = json.loads(stdout)["prediction"]["text"]
    word = whole.split()[3]
    code, stdout, stderr = hfkit(
        "predict", place / "gpt2", "the near rain", *more, "--stop", word, "--stop", "\\n"
    )
    assert code == 0, stderr
    assert json.loads(stdout)["prediction"]["text"] == whole.split(word)[0]


def test_a_terminal_sees_it_come(place: Path) -> None:
    """The words come one by one, and once only."""
    command = [sys.executable, "-m", "hfkit", "predict", str(place / "gpt2"), "the near rain"]
    command += ["--max-new-tokens", "8", "--min-new-tokens", "8", "--device", "cpu", "-q"]
    plain = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    main, side = pty.openpty()
    with subprocess.Popen(command, stdout=side, stderr=subprocess.PIPE) as process:
        os.close(side)
        parts = []
        while True:
            try:
                part = os.read(main, 4096)
            except OSError:  # Linux says so where the other side is closed
                break
            if not part:
                break
            parts.append(part)
    os.close(main)
    assert process.returncode == 0
    shown = b"".join(parts).decode().replace("\r\n", "\n")
    assert shown == json.loads(plain)["prediction"]["text"] + "\n"


# ---- texts alone


@pytest.mark.parametrize("name", ["generation", "clm"])
def test_texts_alone(hfkit: Command, place: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    code, _, err = hfkit(
        "finetune", place / "texts.txt", "-t", name, "-m", place / "gpt2", "-o", out,
        "--epochs", 4, *USUAL,
    )  # fmt: skip
    assert code == 0, err
    losses = [e["scores"]["loss"] for e in read_jsonl(out / "metrics.jsonl") if "scores" in e]
    assert losses[-1] < losses[0]
    code, _, err = hfkit("evaluate", out, place / "texts.txt", "--written")
    assert code == 2 and "--written: needs prompts" in err
    code, stdout, err = hfkit("score", out, "the near old rain", "-q")
    assert code == 0, err
    assert json.loads(stdout)["prediction"]["perplexity"] > 1


def test_from_scratch(hfkit: Command, place: Path, tmp_path: Path) -> None:
    code, _, err = hfkit(
        "tokenizer", "train", place / "texts.txt", "-o", tmp_path / "pieces", "--kind", "bpe",
        "--vocab-size", 300,
    )  # fmt: skip
    assert code == 0, err
    code, _, err = hfkit(
        "finetune", place / "texts.txt", "-t", "clm", "--config-size", "tiny", "--tokenizer",
        tmp_path / "pieces", "-o", tmp_path / "out", "--max-steps", 8, *USUAL,
    )  # fmt: skip
    assert code == 0, err
    assert "gpt2-tiny: all weights are new and random" in err
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (config["model_type"], config["n_embd"], config["vocab_size"]) == ("gpt2", 128, 300)
    assert config["eos_token_id"] == config["bos_token_id"] == 0
    code, stdout, err = hfkit("predict", tmp_path / "out", "the near", "--max-new-tokens", 5)
    assert code == 0, err
    assert isinstance(json.loads(stdout)["prediction"]["text"], str)
    code, stdout, err = hfkit("score", tmp_path / "out", "the near old rain")
    assert code == 0 and json.loads(stdout)["prediction"]["tokens"] > 3, err


def test_pairs_from_scratch_name_no_task(hfkit: Command, place: Path, tmp_path: Path) -> None:
    """The columns tell the task, and the task the family."""
    code, out, err = hfkit(
        "finetune", place / "pairs_train.jsonl", "--config-size", "tiny", "--tokenizer",
        place / "gpt2", "--dry-run",
    )  # fmt: skip
    assert code == 0, err
    assert "the task is generation (the columns 'prompt' and 'completion')" in err
    assert "base_model" in out or "config_size: tiny" in out


def losses(folder: Path) -> list[float]:
    return [event["loss"] for event in read_jsonl(folder / "metrics.jsonl") if "loss" in event]


def test_the_cut_of_a_step_changes_nothing(hfkit: Command, place: Path, tmp_path: Path) -> None:
    """Eight rows at once and three at a time, padded or not, give the same losses."""
    ways = {"whole": [], "cut": ["--micro-batch", 3], "padded": ["--no-unpad"]}
    for name, flags in ways.items():
        code, _, err = hfkit(
            "finetune", place / "pairs_train.jsonl", "-m", place / "llama", "-o", tmp_path / name,
            "--max-steps", 8, "--batch-size", 8, "--dropout", 0, *USUAL, *flags,
        )  # fmt: skip
        assert code == 0, err
    expected = losses(tmp_path / "whole")
    assert len(expected) == 8
    for name in ("cut", "padded"):
        assert losses(tmp_path / name) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("form", ["pairs_dev.jsonl", "texts.txt"])
def test_a_resumed_run_ends_with_the_same_bytes(
    assert_goes_on_exactly: Callable[..., None], place: Path, tmp_path: Path, form: str
) -> None:
    usual = ["finetune", place / form, "-t", "generation", "-m", place / "gpt2", "--epochs", 2,
             "--dropout", 0.1, "--checkpoint-every", 1, "--batch-size", 16, *USUAL]  # fmt: skip
    assert_goes_on_exactly(usual, tmp_path)


# ---- mistakes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pairs_train.jsonl", "-m", "bert"], "a bert reads texts and writes none"),
        (["pairs_train.jsonl", "-m", "gpt2", "-t", "clm"], "--join: joins texts"),
        (["talks_train.jsonl", "-m", "gpt2"], "the tokenizer has no chat template"),
        (["texts.txt", "-m", "gpt2", "-t", "generation", "--written"], "--written: needs prompts"),
        (["pairs_train.jsonl", "-m", "gpt2", "--max-new-tokens", "64"], "no room for a prompt"),
        (["pairs_train.jsonl", "-m", "gpt2", "--stop", ""], "expected some words"),
        (["half.jsonl", "-m", "gpt2", "-t", "generation", "--prompt-column", "prompt"],
         "no column for the completion"),
        (["alpaca.jsonl", "-m", "gpt2", "-t", "generation"], "could be the prompt: 'instruction'"),
        (["pairs_train.jsonl"], "no base model that writes is named; -m openai-community/gpt2"),
        (["pairs_train.jsonl", "-m", "gpt2", "--on-long", "error", "--max-length", "4"],
         "pairs_train.jsonl:1: "),
    ],
)  # fmt: skip
def test_mistakes(
    arguments: list[str],
    message: str,
    hfkit: Command,
    place: Path,
    tmp_path: Path,
    monkeypatch: Any,
) -> None:
    monkeypatch.chdir(place)
    if not Path("bert").exists():
        write_base_model(place / "bert")
    write_rows(Path("half.jsonl"), [{"prompt": "rain", "number": 1}] * 20)
    row = {"instruction": "say", "input": "rain", "output": "snow"}
    write_rows(Path("alpaca.jsonl"), [row] * 20)
    code, _, err = hfkit("finetune", *arguments, "-o", tmp_path / "out")
    assert code == 2, err
    assert message in err
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_missing_chat_template_is_found_before_the_run_begins(
    hfkit: Command, place: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(place)
    for flags in ([], ["--dry-run"]):
        code, _, err = hfkit(
            "finetune", "talks_train.jsonl", "-m", "gpt2", "-o", tmp_path / "out", *flags
        )
        assert code == 2
        assert "gpt2: the tokenizer has no chat template" in err
        assert not (tmp_path / "out").exists()


def test_a_run_is_not_exported(hfkit: Command, done: Path) -> None:
    code, _, err = hfkit("export", done)
    assert code == 2 and "asked once for each token, and is not exported" in err


def test_kept_open_from_python(done: Path) -> None:
    import hfkit

    model = hfkit.load(str(done))
    first, second = model.predict(["the old rain", ""])
    assert isinstance(first["text"], str) and second == {"error": "the text is empty"}
    if done.name == "run_talks":
        asked = [{"messages": [{"role": "user", "content": "the old rain"}]}]
        assert model.predict(asked) == [first]
