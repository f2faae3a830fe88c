"""`hfkit tokenizer train`: folders that AutoTokenizer loads, and nothing lost on the way."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from toys import FILLERS, TOPICS, toy_rows, write_csv

from hfkit.api import train_tokenizer
from hfkit.data.record import Record

Command = Callable[..., tuple[int, str, str]]

TEXTS = "\n".join(row["text"] for row in toy_rows(300)) + "\nÉté déjà vu, 42 %!\n\n北京 天气\n"
FAMILIES: dict[str, dict[str, str]] = {
    "bert": {
        "pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]",
    },
    "roberta": {
        "bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>", "mask": "<mask>",
        "cls": "<s>", "sep": "</s>",
    },
    "gpt2": {"bos": "<|endoftext|>", "eos": "<|endoftext|>", "unk": "<|endoftext|>"},
    "t5": {"pad": "<pad>", "eos": "</s>", "unk": "<unk>"},
}  # fmt: skip
PAIRS = {
    "bert": ["[CLS]", "a", "[SEP]", "b", "[SEP]"],
    "roberta": ["<s>", "a", "</s>", "</s>", "b", "</s>"],
    "gpt2": ["a", "b"],
    "t5": ["a", "</s>", "b", "</s>"],
}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.txt"
    path.write_text(TEXTS, "utf-8")
    return path


def loaded(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(folder), local_files_only=True)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", ["wordpiece", "bpe", "unigram"])
def test_it_loads_with_the_special_tokens_of_its_family(
    kind: str, family: str, hfkit: Command, corpus: Path, tmp_path: Path
) -> None:
    code, out, err = hfkit(
        "tokenizer", "train", corpus, "-o", tmp_path / "made", "--kind", kind, "--family", family,
        "--vocab-size", 330, "--max-length", 64,
    )  # fmt: skip
    assert (code, out) == (0, f"{tmp_path / 'made'}\n"), err
    tokenizer = loaded(tmp_path / "made")
    for role, token in FAMILIES[family].items():
        assert getattr(tokenizer, f"{role}_token") == token
    order = dict.fromkeys(FAMILIES[family].values())
    assert tokenizer.convert_tokens_to_ids(list(order)) == list(range(len(order)))
    assert tokenizer.model_max_length == 64
    assert len(tokenizer) <= 330
    plain = [
        token.strip("▁Ġ#")
        for token in tokenizer.convert_ids_to_tokens(tokenizer("a", "b").input_ids)
    ]
    assert [token for token in plain if token] == PAIRS[family]
    assert ("token_type_ids" in tokenizer("a", "b")) == (family == "bert")
    assert ("1" in str(tokenizer("a", "b").get("token_type_ids"))) == (family == "bert")


@pytest.mark.parametrize("kind", ["wordpiece", "bpe", "unigram"])
def test_texts_come_back_and_words_are_learnt(
    kind: str, hfkit: Command, corpus: Path, tmp_path: Path
) -> None:
    hfkit(
        "tokenizer", "train", corpus, "-o", tmp_path / "made", "--kind", kind, "--vocab-size", 400
    )
    tokenizer = loaded(tmp_path / "made")
    for text in ("melody and storm", "42 drums, very cold!"):
        ids = tokenizer(text, add_special_tokens=False).input_ids
        assert tokenizer.decode(ids).replace(" ,", ",").replace(" !", "!").strip() == text
    words = [word for topic in TOPICS.values() for word in topic] + FILLERS
    pieces = [len(tokenizer(f" {word}", add_special_tokens=False).input_ids) for word in words]
    if kind == "unigram":  # of so few words it makes few pieces
        assert sum(pieces) < sum(map(len, words))
    else:
        assert pieces.count(1) > len(words) * 0.9


def test_bytes_have_nothing_unknown(hfkit: Command, corpus: Path, tmp_path: Path) -> None:
    arguments = ["-o", tmp_path / "made", "--kind", "bpe", "--vocab-size", 300]
    assert hfkit("tokenizer", "train", corpus, *arguments)[0] == 0
    tokenizer = loaded(tmp_path / "made")
    text = "Ω\U0001f327 ꙮ\t\x00"
    assert tokenizer.decode(tokenizer(text).input_ids) == text


@pytest.mark.parametrize("kind", ["wordpiece", "bpe", "unigram"])
def test_lower_case_is_asked_for(kind: str, hfkit: Command, corpus: Path, tmp_path: Path) -> None:
    usual = ["--kind", kind, "--vocab-size", 400]
    hfkit("tokenizer", "train", corpus, *usual, "-o", tmp_path / "as-it-is")
    hfkit("tokenizer", "train", corpus, *usual, "-o", tmp_path / "lower", "--lowercase")
    lower, kept = loaded(tmp_path / "lower"), loaded(tmp_path / "as-it-is")
    assert lower("STORM").input_ids == lower("storm").input_ids
    assert kept("STORM").input_ids != kept("storm").input_ids


def test_the_same_texts_give_the_same_bytes(hfkit: Command, corpus: Path, tmp_path: Path) -> None:
    """Of the other kinds the library breaks ties in the order of a hash table."""
    for name in ("one", "two"):
        arguments = ["-o", tmp_path / name, "--kind", "bpe", "--vocab-size", 350]
        hfkit("tokenizer", "train", corpus, *arguments)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_several_files_and_a_column(hfkit: Command, tmp_path: Path) -> None:
    rows = [{"id": n, "body": row["text"]} for n, row in enumerate(toy_rows(50))]
    table = write_csv(tmp_path / "table.csv", rows)
    (tmp_path / "lines.txt").write_text("zebra zebra zebra\n\n", "utf-8")
    usual = ["--vocab-size", 200, "--column"]
    code, _, err = hfkit("tokenizer", "train", table, "-o", tmp_path / "made", *usual, "body")
    assert code == 0 and "learnt from 50 texts" in err
    code, _, err = hfkit(
        "tokenizer", "train", tmp_path / "lines.txt", "-o", tmp_path / "other", "--vocab-size", 200
    )
    assert code == 0 and "learnt from 1 texts" in err
    assert "the texts give" in err  # fewer tokens than asked for
    assert "zebra" in loaded(tmp_path / "other").get_vocab()


def test_nothing_is_overwritten_unasked(hfkit: Command, corpus: Path, tmp_path: Path) -> None:
    target = tmp_path / "made"
    target.mkdir()
    (target / "mine").write_text("mine")
    arguments = ["tokenizer", "train", corpus, "-o", target, "--vocab-size", 200]
    code, out, err = hfkit(*arguments)
    assert (code, out) == (2, "") and "is not empty" in err
    assert [path.name for path in target.iterdir()] == ["mine"]
    assert hfkit(*arguments, "--overwrite")[0] == 0
    assert (tmp_path / "made.old-1" / "mine").read_text() == "mine"
    assert sorted(path.name for path in target.iterdir()) == [
        "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no texts; hfkit tokenizer train FILE"),
        (["corpus.txt"], "no folder for the tokenizer"),
        (["corpus.txt", "-o", "made", "--vocab-size", "20", "--kind", "bpe"], "leave no room"),
        (["corpus.txt", "-o", "made", "--vocab-size", "3"], "--vocab-size: expected"),
        (["blank.txt", "-o", "made"], "blank.txt: no texts"),
        (["nowhere.txt", "-o", "made"], "nowhere.txt: no such file"),
        (["broken.jsonl", "-o", "made"], "broken.jsonl:2"),
        (["number.jsonl", "-o", "made"], "number.jsonl:2: no text in column 'text'"),
        (["corpus.txt", "-o", "corpus.txt"], "is a file"),
        (["inside/a.txt", "-o", "inside", "--overwrite"], "that --overwrite moves"),
    ],
)
def test_mistakes(
    arguments: list[str], message: str, hfkit: Command, corpus: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(corpus.parent)
    Path("blank.txt").write_text("\n\n")
    Path("broken.jsonl").write_text('{"text": "a b"}\n{"text": \n')
    Path("number.jsonl").write_text('{"text": "a b"}\n{"text": 7}\n')
    Path("inside").mkdir()
    Path("inside/a.txt").write_text("a b\n")
    code, out, err = hfkit("tokenizer", "train", *arguments)
    assert (code, out) == (2, ""), err
    assert message in err
    assert not Path("made").exists()


def test_texts_are_read_as_they_are_needed(tmp_path: Path, monkeypatch: Any) -> None:
    """A hundred megabytes of texts pass; a tenth of that is never there at once."""
    line = " ".join(FILLERS * 10)

    def read(source: str, *_: Any, **__: Any) -> Iterator[Record]:
        for number in range(200_000):
            yield Record({"text": f"{line}{number % 7}"}, number, source, number)

    monkeypatch.setattr("hfkit.data.source.read", read)
    tracemalloc.start()
    made = train_tokenizer(["huge.txt"], output=str(tmp_path / "made"), vocab_size=100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert made.texts == 200_000
    assert peak < 10 * 2**20


def test_no_torch_is_imported(corpus: Path, tmp_path: Path) -> None:
    program = (
        "import sys\nfrom hfkit.cli.app import run\n"
        f"code = run(['tokenizer', 'train', {str(corpus)!r}, '-o', {str(tmp_path / 'made')!r},"
        " '--vocab-size', '200'])\n"
        "assert code == 0\n"
        "found = {'torch', 'transformers', 'datasets'} & set(sys.modules)\n"
        "assert not found, found\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_several_columns(hfkit: Command, tmp_path: Path) -> None:
    rows = [{"source": "rain rain rain", "target": "Regen Regen Regen"}]
    file = write_csv(tmp_path / "pairs.csv", rows)
    usual = ["tokenizer", "train", file, "--kind", "bpe", "--vocab-size", 280, "--text-column"]
    code, _, err = hfkit(*usual, "source,target", "-o", tmp_path / "both")
    assert code == 0 and "learnt from 2 texts" in err
    assert len(loaded(tmp_path / "both").encode(" Regen")) == 1
    code, _, err = hfkit(*usual, "source,targte", "-o", tmp_path / "none")
    assert code == 2 and "no column 'targte'" in err
