"""How near `hfkit estimate` is to the memory that commands really take.

    python -m benchmarks.memory [--shapes minilm …] [--table]

For each shape of model, `hfkit finetune` (three steps and an evaluation) and `hfkit predict` run in
new processes, on texts that fill every window, and the system tells their peak: all memory that was
resident at once, libraries and all, as `top` shows it. One line a command in results/memory.jsonl,
with the estimate that was made of it; `--table` prints those lines as a table and measures nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "memory.jsonl"
WORDS = [f"w{number}" for number in range(500)]
BERT = {"vocab_size": 30522, "max_position_embeddings": 512, "pad_token_id": 0}
SHAPES: dict[str, dict] = {
    "bert-mini": {"model_type": "bert", **BERT, "hidden_size": 256, "num_hidden_layers": 4,
                  "num_attention_heads": 4, "intermediate_size": 1024},
    "minilm": {"model_type": "bert", **BERT, "hidden_size": 384, "num_hidden_layers": 6,
               "num_attention_heads": 12, "intermediate_size": 1536},
    "distilbert": {"model_type": "distilbert", **BERT},
    "distilroberta": {"model_type": "roberta", "vocab_size": 50265, "num_hidden_layers": 6,
                      "max_position_embeddings": 514, "pad_token_id": 1},
    "modernbert-small": {"model_type": "modernbert", "vocab_size": 50368, "hidden_size": 512,
                         "num_hidden_layers": 10, "num_attention_heads": 8,
                         "intermediate_size": 768, "pad_token_id": 0, "bos_token_id": 2,
                         "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3},
    "t5-small": {"model_type": "t5", "vocab_size": 32128, "d_model": 512, "d_ff": 2048,
                 "num_layers": 6, "num_heads": 8, "d_kv": 64, "pad_token_id": 0,
                 "eos_token_id": 3, "decoder_start_token_id": 0, "is_encoder_decoder": True},
}  # fmt: skip
BATCHES = ((8, 64), (16, 128))
PREDICTED = 400  # rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory")
    parser.add_argument("--runs", type=Path, default=RESULTS)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    if not given.table:
        for name in given.shapes:
            with tempfile.TemporaryDirectory() as folder:
                measure(name, Path(folder), given.precision, given.runs)
    print(table(given.runs))


def measure(name: str, folder: Path, precision: str, runs: Path) -> None:
    """Measure both commands with both batches, and write down what was estimated."""
    model = write_model(folder / name, name)
    for rows, length in BATCHES:
        task = "text2text" if name.startswith("t5") else "classification"
        data = write_rows(folder / f"rows-{rows}-{length}.jsonl", task, length, PREDICTED)
        sizes = ["--batch-size", str(rows), "--max-length", str(length)]
        target = ["--max-target-length", str(length // 4)] if task == "text2text" else []
        guess = estimated(model, ["-t", task, *sizes, *target, "--precision", precision])
        run = folder / f"run-{rows}-{length}"
        training = peak(["finetune", str(data), "-m", str(model), "-o", str(run), "-t", task,
                         *sizes, "--limit", str(rows * 3 + 8),
                         "--validation", str(8 / (rows * 3 + 8)), "--max-steps", "3",
                         "--precision", precision, "--device", "cpu"])  # fmt: skip
        record(runs, name, "finetune", rows, length, precision, training, guess)
        predicting = peak(["predict", str(run), str(data), "-o", str(folder / "answers.jsonl"),
                           "--overwrite", "--max-length", str(length), "--device", "cpu",
                           *(["--limit", "16"] if task == "text2text" else [])])  # fmt: skip
        record(runs, name, "predict", rows, length, "fp32", predicting, guess)


def write_model(folder: Path, name: str) -> Path:
    """A model of random weights, with a tokenizer of one token to the word."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import AutoConfig, AutoModel, AutoModelForSeq2SeqLM, PreTrainedTokenizerFast

    shape = dict(SHAPES[name])
    torch.manual_seed(0)
    config = AutoConfig.for_model(shape.pop("model_type"), **shape)
    kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModel
    kind.from_config(config).save_pretrained(folder)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    if config.pad_token_id == 1:
        special[:2] = ["[UNK]", "[PAD]"]
    vocabulary = {token: number for number, token in enumerate([*special, *WORDS])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )  # fmt: skip
    PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]", mask_token="[MASK]", eos_token="[SEP]", model_max_length=512,
        model_input_names=["input_ids", "attention_mask"],
    ).save_pretrained(folder)  # fmt: skip
    return folder


def write_rows(path: Path, task: str, length: int, count: int) -> Path:
    """Texts of exactly `length` tokens with the two around them."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            words = [WORDS[(number * 7 + place * 13) % 500] for place in range(length - 2)]
            text = " ".join(words)
            target = " ".join(words[: length // 4]) if task == "text2text" else "ab"[number % 2]
            file.write(json.dumps({"text": text, "label": target}) + "\n")
    return path


def peak(arguments: list[str]) -> int:
    """Run a command of hfkit in a new process; the most bytes it had resident at once."""
    command = [sys.executable, "-m", "hfkit", *arguments, "--quiet", "--offline"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(arguments)} failed: {said}")
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def estimated(model: Path, arguments: list[str]) -> dict:
    command = [sys.executable, "-m", "hfkit", "estimate", "-m", str(model), *arguments,
               "--device", "cpu", "--json", "--offline"]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def record(runs: Path, name: str, verb: str, rows: int, length: int, precision: str,
           measured: int, guess: dict) -> None:  # fmt: skip
    key = "training" if verb == "finetune" else "prediction"
    line = {
        "shape": name, "parameters": guess["parameters"], "command": verb, "rows": rows,
        "length": length, "precision": precision, "measured_mib": round(measured / 2**20),
        "estimated_mib": round(guess["sizes"][0][key]["peak_bytes"] / 2**20),
    }  # fmt: skip
    line["error"] = round(line["estimated_mib"] / line["measured_mib"] - 1, 3)
    with runs.open("a") as file:
        file.write(json.dumps(line) + "\n")
    print(line, flush=True)


def table(runs: Path) -> str:
    """The newest line of each measurement, as Markdown."""
    lines = [json.loads(line) for line in runs.read_text().splitlines()]
    newest = {
        tuple(line[key] for key in ("shape", "command", "rows", "length", "precision")): line
        for line in lines
    }
    head = ["| model | parameters | command | batch | precision | measured MiB | estimate | off |",
            "|---|--:|---|--:|---|--:|--:|--:|"]  # fmt: skip
    return "\n".join([*head, *map(as_row, newest.values())])


def as_row(line: dict) -> str:
    cells = [line["shape"], f"{line['parameters'] / 1e6:.0f}M", line["command"],
             f"{line['rows']} × {line['length']}", line["precision"], f"{line['measured_mib']:,}",
             f"{line['estimated_mib']:,}", f"{line['error']:+.0%}"]  # fmt: skip
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
