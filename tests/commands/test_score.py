"""`hfkit score`: the probability of texts, beside a direct computation."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from toys import (
    picked_rows,
    tiny_config,
    toy_rows,
    write_csv,
    write_tokenizer,
    write_writer,
)

import hfkit as library

Command = Callable[..., tuple[int, str, str]]

LONG = " ".join(row["text"] for row in toy_rows(12))
TEXTS = ["rain", "the storm and the rain", "melody", LONG, "drum drum drum snow"]


def gpt2(folder: Path, **changes: Any) -> Any:
    config = transformers.GPT2Config(
        vocab_size=400, n_embd=32, n_layer=2, n_head=2, n_positions=24,
        bos_token_id=2, eos_token_id=3, **changes,
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.GPT2LMHeadModel(config)
    model.save_pretrained(folder)
    write_tokenizer(folder)
    return model.eval()


@pytest.fixture(scope="module")
def causal(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Any]:
    folder = tmp_path_factory.mktemp("gpt2")
    model = gpt2(folder)
    return folder, model, transformers.AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Any]:
    folder = tmp_path_factory.mktemp("bert")
    torch.manual_seed(0)
    model = transformers.AutoModelForMaskedLM.from_config(tiny_config("bert"))
    model.save_pretrained(folder)
    write_tokenizer(folder)
    return folder, model.eval(), transformers.AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def seq2seq(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Any]:
    folder = tmp_path_factory.mktemp("t5")
    config = transformers.T5Config(
        vocab_size=400, d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2,
        decoder_start_token_id=0, pad_token_id=0, eos_token_id=3,
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.T5ForConditionalGeneration(config)
    model.save_pretrained(folder)
    write_tokenizer(folder)
    return folder, model.eval(), transformers.AutoTokenizer.from_pretrained(folder)


def write(path: Path, texts: list[str]) -> Path:
    path.write_text("".join(f"{text}\n" for text in texts))
    return path


def pieces(tokenizer: Any, text: str) -> list[int]:
    found: list[int] = tokenizer(text, add_special_tokens=False).input_ids
    return found


def direct(model: Any, ids: list[int], size: int, stride: int) -> list[float]:
    """Each token in the window that it would be new in, one forward pass for each token."""
    found = []
    for place in range(1, len(ids)):
        end = size
        while end <= place:
            end += stride
        start = max(0, min(end, len(ids)) - size)
        with torch.no_grad():
            logits = model(torch.tensor([ids[start:place]])).logits[0, -1].double()
        found.append(float(torch.log_softmax(logits, -1)[ids[place]]))
    return found


@pytest.mark.parametrize(("size", "stride"), [(24, 12), (24, 1), (24, 23), (10, 4)])
def test_a_causal_model(
    hfkit: Command, causal: Any, tmp_path: Path, size: int, stride: int
) -> None:
    folder, model, tokenizer = causal
    code, out, err = hfkit(
        "score", folder, write(tmp_path / "texts.txt", TEXTS), "--max-length", size,
        "--stride", stride,
    )  # fmt: skip
    assert code == 0, err
    answers = [json.loads(line) for line in out.splitlines()]
    assert [answer["text"] for answer in answers] == TEXTS
    for text, answer in zip(TEXTS, answers, strict=True):
        wanted = direct(model, [2, *pieces(tokenizer, text)], size, stride)
        found = answer["prediction"]
        assert found["tokens"] == len(wanted) == len(pieces(tokenizer, text))
        assert found["log_prob"] == pytest.approx(sum(wanted), abs=1e-5 * len(wanted))
        assert found["mean_log_prob"] == pytest.approx(sum(wanted) / len(wanted), abs=1e-5)
        assert found["perplexity"] == pytest.approx(math.exp(-sum(wanted) / len(wanted)), rel=1e-5)


def test_a_masked_model(hfkit: Command, masked: Any, tmp_path: Path) -> None:
    folder, model, tokenizer = masked
    texts = TEXTS[:3] + TEXTS[4:]
    code, out, err = hfkit("score", folder, write(tmp_path / "texts.txt", texts))
    assert code == 0, err
    assert "pseudo-log-likelihood" in err
    for text, line in zip(texts, out.splitlines(), strict=True):
        ids = tokenizer(text).input_ids
        total = 0.0
        for place in range(1, len(ids) - 1):
            hidden = [*ids[:place], 4, *ids[place + 1 :]]
            with torch.no_grad():
                logits = model(torch.tensor([hidden])).logits[0, place].double()
            total += float(torch.log_softmax(logits, -1)[ids[place]])
        found = json.loads(line)["prediction"]
        assert found["log_prob"] == pytest.approx(total, abs=1e-5 * len(ids))
        assert found["tokens"] == len(ids) - 2


def test_a_long_text_under_a_masked_model_counts_each_token_once(
    hfkit: Command, masked: Any
) -> None:
    folder, _, tokenizer = masked
    code, out, err = hfkit("score", folder, LONG, "--max-length", 12)
    assert code == 0, err
    assert json.loads(out)["prediction"]["tokens"] == len(pieces(tokenizer, LONG))


def test_a_target_given_its_source(hfkit: Command, seq2seq: Any, tmp_path: Path) -> None:
    folder, model, tokenizer = seq2seq
    rows = [{"source": "rain sun", "target": text} for text in TEXTS if text != LONG]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, out, err = hfkit("score", folder, path, "--column", "source")
    assert code == 0, err
    for row, line in zip(rows, out.splitlines(), strict=True):
        labels = torch.tensor([tokenizer(row["target"]).input_ids])
        with torch.no_grad():
            batch = tokenizer(row["source"], return_tensors="pt")
            loss = model(
                input_ids=batch.input_ids, attention_mask=batch.attention_mask, labels=labels
            ).loss
        found = json.loads(line)["prediction"]
        assert found["tokens"] == labels.shape[1]
        assert found["mean_log_prob"] == pytest.approx(-float(loss), abs=1e-5)
    code, out, err = hfkit("score", folder, "text=rain", "target=sun")
    assert code == 0, err
    code, _, err = hfkit("score", folder, "rain")
    assert code == 2 and "reads a source and a target" in err


@pytest.mark.parametrize("kind", ["causal", "masked", "seq2seq"])
def test_the_batch_changes_nothing(
    kind: str, hfkit: Command, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder = request.getfixturevalue(kind)[0]
    rows = [
        {"text": row["text"], "target": row["text"][::-1][:20] or "a"} for row in toy_rows(40, 5)
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = []
    for size in (1, 7, 64):
        code, out, err = hfkit("score", folder, path, "--batch-size", size)
        assert code == 0, err
        found.append([json.loads(line)["prediction"]["log_prob"] for line in out.splitlines()])
    assert found[1] == pytest.approx(found[0], abs=1e-5)
    assert found[2] == pytest.approx(found[0], abs=1e-5)


def test_the_probability_is_the_product_of_the_conditionals(hfkit: Command, tmp_path: Path) -> None:
    """By hand: a model whose next word depends on the last one alone, by this table."""
    table = {
        "[CLS]": {"rain": 0.75, "sun": 0.25},
        "rain": {"rain": 0.5, "sun": 0.5},
        "sun": {"rain": 0.125, "sun": 0.875},
    }
    model = gpt2(tmp_path, tie_word_embeddings=False)
    number = transformers.AutoTokenizer.from_pretrained(tmp_path).convert_tokens_to_ids
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.transformer.ln_f.weight.fill_(1.0)
        logits = torch.full((3, 400), -40.0)
        for place, (word, following) in enumerate(table.items()):
            model.transformer.wte.weight[number(word), place] = 1.0
            for other, probability in following.items():
                logits[place, number(other)] = math.log(probability)
        hidden = torch.nn.functional.layer_norm(torch.eye(32)[:3], (32,))
        model.lm_head.weight.copy_((torch.linalg.pinv(hidden) @ logits).T)
    model.save_pretrained(tmp_path)
    code, out, err = hfkit("score", tmp_path, "rain sun rain")
    assert code == 0, err
    found = json.loads(out)["prediction"]
    assert math.exp(found["log_prob"]) == pytest.approx(0.75 * 0.5 * 0.125, rel=1e-3)
    assert found["tokens"] == 3


def test_bad_rows_are_kept(hfkit: Command, causal: Any, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "rain"}\n{"text": ""}\n{"text": 7}\n{"text": "sun", "id": 3}\n')
    code, out, err = hfkit("score", causal[0], path)
    assert code == 1
    answers = [json.loads(line) for line in out.splitlines()]
    assert ["error" in answer for answer in answers] == [False, True, True, False]
    assert answers[3]["id"] == 3 and answers[1]["row"] == 2
    assert "2 of 4 rows have no score" in err


def test_formats(hfkit: Command, causal: Any, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("id,text\n1,rain\n2,the sun\n")
    code, _, err = hfkit("score", causal[0], path, "-o", tmp_path / "scores.csv")
    assert code == 0, err
    header, first, _ = (tmp_path / "scores.csv").read_text().splitlines()
    assert header.startswith(
        "id,text,prediction.log_prob,prediction.tokens,prediction.mean_log_prob"
    )
    assert first.startswith("1,rain,-")
    code, out, _ = hfkit("score", causal[0], "rain", "--format", "table")
    assert code == 0 and "perplexity" in out
    code, _, err = hfkit("score", causal[0], path, "-o", tmp_path / "scores.csv")
    assert code == 2 and "the file exists" in err


def test_from_python(causal: Any) -> None:
    (found,) = library.score(str(causal[0]), "rain sun")
    assert found["text"] == "rain sun" and found["prediction"]["tokens"] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no model; name a language model"),
        (["gpt2", "a b", "--stride", "24"], "--stride: a window of 24 tokens cannot move on by 24"),
        (["gpt2", "a b", "--max-length", "99"], "more than the model reads (24)"),
        (["base", "a b"], "a BertModel gives no probabilities of texts"),
        (["gpt2", "nowhere.csv"], "no such file"),
        (["gpt2", "few.csv"], "no column for the text"),
        (["base", "a b", "--kind", "masked"], "not in the weights"),
    ],
)
def test_mistakes(
    arguments: list[str],
    message: str,
    hfkit: Command,
    causal: Any,
    tiny_base_folder: Path,
    tmp_path: Path,
    monkeypatch: Any,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("few.csv").write_text("a,b\n1,2\n")
    named = {"gpt2": causal[0], "base": tiny_base_folder}
    code, _, err = hfkit("score", *(named.get(one, one) for one in arguments))
    assert code == 2, err
    assert message in err


def test_a_run_is_scored_as_it_was_trained(hfkit: Command, tmp_path: Path) -> None:
    rows = [{"document": row["document"], "summary": row["summary"]} for row in picked_rows(24)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    base, run = write_writer(tmp_path / "base"), tmp_path / "run"
    code, _, err = hfkit(
        "finetune", path, "-t", "summarization", "-m", base, "-o", run, "--epochs", 1,
        "--max-target-length", 6, "--source-prefix", "sum: ", "--device", "cpu",
    )  # fmt: skip
    assert code == 0, err
    code, of_run, err = hfkit("score", run, path)
    assert code == 0, err
    given = tmp_path / "given.jsonl"
    sources = [{"source": f"sum: {row['document']}", "target": row["summary"]} for row in rows]
    given.write_text("".join(json.dumps(row) + "\n" for row in sources))
    # The same model as one of somebody else's, which puts nothing before a text.
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        (elsewhere / name).write_bytes((run / name).read_bytes())
    code, by_hand, err = hfkit("score", elsewhere, given, "--text-column", "source")
    assert code == 0, err
    scores = [[json.loads(line)["prediction"] for line in out.splitlines()]
              for out in (of_run, by_hand)]  # fmt: skip
    assert [one["log_prob"] for one in scores[0]] == pytest.approx(
        [one["log_prob"] for one in scores[1]], abs=1e-5
    )


# ---- going on after a kill


class Died(BaseException):
    """As hard an end as there is inside a process."""


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_what_a_kill_leaves_is_gone_on_with(
    suffix: str, causal: Any, hfkit: Command, tmp_path: Path, monkeypatch: Any
) -> None:
    from hfkit.commands.score import write_scores
    from hfkit.config import ScoreConfig
    from hfkit.run import journal

    monkeypatch.setattr(journal, "EVERY", 0.0)
    rows = write_csv(tmp_path / "rows.csv", [*toy_rows(150, seed=3), {"text": "", "label": "a"}])
    add = journal.Journal.add

    def score(output: Path, *flags: Any) -> tuple[int, str]:
        common = ["--text-column", "text", "--device", "cpu", "--threads", 1]
        code, _, err = hfkit("score", causal[0], rows, "-o", output, *common, *flags)
        return code, err

    def dying(self: Any, *arguments: Any) -> None:
        add(self, *arguments)
        if self._windows == 2:
            raise Died

    whole, out = tmp_path / f"whole.{suffix}", tmp_path / f"out.{suffix}"
    assert score(whole)[0] == 1  # the empty text has no score
    with monkeypatch.context() as patch:
        patch.setattr(journal.Journal, "add", dying)
        with pytest.raises(Died):
            write_scores(
                ScoreConfig(
                    model=str(causal[0]), inputs=[str(rows)], output=str(out),
                    text_column="text", device="cpu", threads=1,
                )
            )  # fmt: skip
    assert not out.exists()
    code, err = score(out, "--resume", "--stride", 5)
    assert code == 2 and "another command has begun it: stride" in err
    code, err = score(out, "--resume")
    assert code == 1 and "goes on behind row 96" in err
    assert out.read_bytes() == whole.read_bytes()


def test_only_a_file_is_gone_on_with(causal: Any, hfkit: Command) -> None:
    code, _, err = hfkit("score", causal[0], "some rain", "--resume")
    assert code == 2 and "--resume: goes on with a file" in err
