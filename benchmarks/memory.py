"""How near `hfkit estimate` is to the memory that commands really take.

    python -m benchmarks.memory [--shapes minilm …] [--setting lora] [--again | --table]

For each shape of model, `hfkit finetune` (three steps and an evaluation) and `hfkit predict` run in
new processes, on texts that fill every window, and the system tells their peak: all memory that was
resident at once, libraries and all, as `top` shows it. One line a command in results/memory.jsonl,
with the estimate that was made of it. `--again` measures nothing and estimates anew, for after a
change of the estimate; `--table` only prints the lines as a table.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from hfkit.run.fresh import run_fresh

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
    "electra-small": {"model_type": "electra", **BERT, "embedding_size": 128, "hidden_size": 256,
                      "num_hidden_layers": 12, "num_attention_heads": 4,
                      "intermediate_size": 1024},
    "t5-small": {"model_type": "t5", "vocab_size": 32128, "d_model": 512, "d_ff": 2048,
                 "num_layers": 6, "num_heads": 8, "d_kv": 64, "pad_token_id": 0,
                 "eos_token_id": 3, "decoder_start_token_id": 0, "is_encoder_decoder": True},
}  # fmt: skip
BATCHES = ((8, 64), (16, 128))
# What a training is asked for besides; a run made with adapters is opened in another way too.
SETTINGS: dict[str, dict[str, Any]] = {
    "fp32": {},
    "bf16": {"precision": "bf16"},
    "lora": {"lora": "r=8"},
    "checkpointing": {"gradient_checkpointing": True},
}
PREDICTED = ("fp32", "lora")  # of the others the finished model is the same
ROWS = 400  # to be answered


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory")
    parser.add_argument("--runs", type=Path, default=RESULTS)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--setting", default="fp32", choices=SETTINGS)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    if given.again:
        again(given.runs)
    elif not given.table:
        for name in given.shapes:
            with tempfile.TemporaryDirectory() as folder:
                measure(name, Path(folder), given.setting, given.runs)
    print(table(given.runs))


def measure(name: str, folder: Path, setting: str, runs: Path) -> None:
    """Measure both commands with both batches, and write down what is estimated."""
    model = write_model(folder / name, name)
    for rows, length in BATCHES:
        asked = asked_of(name, setting, rows, length)
        data = write_rows(folder / f"rows-{rows}-{length}.jsonl", asked["task"], length, ROWS)
        guess = estimated(name, setting, rows, length)
        run = folder / f"run-{rows}-{length}"
        training = peak(["finetune", str(data), "-m", str(model), "-o", str(run), *flags(asked),
                         "--limit", str(rows * 3 + 8), "--max-steps", "3",
                         "--validation", str(8 / (rows * 3 + 8))])  # fmt: skip
        record(runs, name, "finetune", rows, length, setting, training, guess)
        if setting in PREDICTED:
            writes = asked["task"] == "text2text"
            few = ["--limit", str(2 * 4096 // length)] if writes else []
            predicting = peak(["predict", str(run), str(data), "-o", str(folder / "answers.jsonl"),
                               "--overwrite", "--max-length", str(length), *few])  # fmt: skip
            record(runs, name, "predict", rows, length, setting, predicting, guess)


def asked_of(name: str, setting: str, rows: int, length: int) -> dict[str, Any]:
    """What `hfkit finetune` and `hfkit estimate` are both asked for."""
    asked = {"batch_size": str(rows), "max_length": str(length), "precision": "fp32"}
    if not name.startswith("t5"):
        return {"task": "classification", **asked, **SETTINGS[setting]}
    target = {"max_target_length": length // 4}
    return {"task": "text2text", **asked, **target, **SETTINGS[setting]}


def flags(asked: dict[str, Any]) -> list[str]:
    """The same for a terminal."""
    found = []
    for key, value in asked.items():
        found += [f"--{key.replace('_', '-')}", *([] if value is True else [str(value)])]
    return found


def write_model(folder: Path, name: str) -> Path:
    """A model of random weights, with a tokenizer of one token to the word."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import AutoModel, AutoModelForSeq2SeqLM, PreTrainedTokenizerFast

    torch.manual_seed(0)
    config = config_of(name)
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


def config_of(name: str) -> Any:
    from transformers import AutoConfig

    shape = dict(SHAPES[name])
    return AutoConfig.for_model(shape.pop("model_type"), **shape)


def write_rows(path: Path, task: str, length: int, count: int) -> Path:
    """Texts of exactly `length` tokens with the two around them."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            words = [WORDS[(number * 7 + place * 13) % 500] for place in range(length - 2)]
            text = " ".join(words)
            target = " ".join(words[: length // 4]) if task == "text2text" else "ab"[number % 2]
            file.write(json.dumps({"text": text, "label": target}) + "\n")
    return path


def peak(arguments: list[str]) -> float:
    """Run a command of hfkit in a new process; the most MiB it had resident at once."""
    command = [sys.executable, "-m", "hfkit", *arguments, "--device", "cpu", "--quiet", "--offline"]
    # Not a child of this process: the system would count what this one holds as its own.
    return run_fresh(command).peak_mib


def estimated(name: str, setting: str, rows: int, length: int) -> dict[str, Any]:
    """What `hfkit estimate` says, of as many threads as ``OMP_NUM_THREADS`` names."""
    import hfkit

    with tempfile.TemporaryDirectory() as folder:
        config_of(name).save_pretrained(folder)
        asked = asked_of(name, setting, rows, length)
        return hfkit.estimate(folder, device="cpu", **asked).to_json()


def record(runs: Path, name: str, verb: str, rows: int, length: int, setting: str,
           measured: float, guess: dict[str, Any]) -> None:  # fmt: skip
    line = {
        "shape": name, "parameters": guess["parameters"], "command": verb, "rows": rows,
        "length": length, "setting": setting, "measured_mib": round(measured),
    }  # fmt: skip
    line = compared(line, guess)
    with runs.open("a") as file:
        file.write(json.dumps(line) + "\n")
    print(line, flush=True)


def compared(line: dict[str, Any], guess: dict[str, Any]) -> dict[str, Any]:
    """The line of a measurement with the estimate beside it."""
    key = "training" if line["command"] == "finetune" else "prediction"
    mib = round(guess["sizes"][0][key]["peak_bytes"] / 2**20)
    return {**line, "estimated_mib": mib, "error": round(mib / line["measured_mib"] - 1, 3)}


def newest(runs: Path) -> list[dict[str, Any]]:
    """The last line of each measurement."""
    lines = [json.loads(line) for line in runs.read_text().splitlines()]
    keys = ("shape", "setting", "rows", "length", "command")
    return list({tuple(line[key] for key in keys): line for line in lines}.values())


def again(runs: Path) -> None:
    """Put what is estimated now beside the peaks that were measured before."""
    found = []
    for line in newest(runs):
        guess = estimated(line["shape"], line["setting"], line["rows"], line["length"])
        found.append(json.dumps(compared(line, guess)))
    runs.write_text("\n".join(found) + "\n")


def table(runs: Path) -> str:
    """The newest line of each measurement, as Markdown."""
    head = ["| model | parameters | command | batch | setting | measured MiB | estimate | off |",
            "|---|--:|---|--:|---|--:|--:|--:|"]  # fmt: skip
    return "\n".join([*head, *map(as_row, newest(runs))])


def as_row(line: dict) -> str:
    cells = [line["shape"], f"{line['parameters'] / 1e6:.0f}M", line["command"],
             f"{line['rows']} × {line['length']}", line["setting"], f"{line['measured_mib']:,}",
             f"{line['estimated_mib']:,}", f"{line['error']:+.0%}"]  # fmt: skip
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
