"""Folders whose tokenizer is a SentencePiece file alone: often so for T5, XLM-R and Marian."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sentencepiece
import torch
from toys import TOPICS, toy_rows
from transformers import (
    MarianConfig,
    MarianMTModel,
    T5Config,
    T5ForConditionalGeneration,
    XLMRobertaConfig,
    XLMRobertaModel,
)

import hfkit

PAIRS = [{"source": "rain sun", "target": "sun rain"}, {"source": "snow fog", "target": "fog snow"}]
ROOM = 60  # more than there are pieces


def write_pieces(folder: Path, **ids: int) -> Path:
    """The file of a SentencePiece model over the toy words."""
    folder.mkdir()
    corpus = folder / "corpus.txt"
    corpus.write_text("\n".join(row["text"] for row in toy_rows(200)), "utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus), model_prefix=str(folder / "spiece"), vocab_size=ROOM - 10,
        hard_vocab_limit=False, minloglevel=2, **ids,
    )  # fmt: skip
    corpus.unlink()
    (folder / "spiece.vocab").unlink()
    return folder / "spiece.model"


def name_tokenizer(folder: Path, name: str, **more: object) -> None:
    settings = {"tokenizer_class": name, **more}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")


def write_t5(folder: Path) -> None:
    write_pieces(folder, pad_id=0, eos_id=1, unk_id=2, bos_id=-1)
    name_tokenizer(folder, "T5Tokenizer", extra_ids=0)
    torch.manual_seed(0)
    T5ForConditionalGeneration(
        T5Config(vocab_size=ROOM, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2,
                 decoder_start_token_id=0)
    ).save_pretrained(folder)  # fmt: skip


def write_marian(folder: Path) -> None:
    pieces = write_pieces(folder, pad_id=0, eos_id=1, unk_id=2, bos_id=-1)
    known = sentencepiece.SentencePieceProcessor(model_file=str(pieces))
    vocabulary = {known.id_to_piece(number): number for number in range(known.get_piece_size())}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), "utf-8")
    (folder / "target.spm").write_bytes(pieces.read_bytes())
    pieces.rename(folder / "source.spm")
    name_tokenizer(folder, "MarianTokenizer", source_lang="en", target_lang="de")
    torch.manual_seed(0)
    MarianMTModel(
        MarianConfig(vocab_size=ROOM, d_model=16, encoder_layers=1, decoder_layers=1,
                     encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=16,
                     decoder_ffn_dim=16, decoder_start_token_id=0, pad_token_id=0, eos_token_id=1,
                     forced_eos_token_id=1, max_position_embeddings=32)
    ).save_pretrained(folder)  # fmt: skip


@pytest.mark.parametrize("write", [write_t5, write_marian])
def test_what_writes(write, tmp_path: Path) -> None:
    base, data, run = tmp_path / "base", tmp_path / "pairs.jsonl", tmp_path / "run"
    write(base)
    data.write_text("".join(json.dumps(row) + "\n" for row in PAIRS), "utf-8")
    hfkit.finetune(
        str(data), validation=str(data), model=str(base), task="translation", output=str(run),
        max_target_length=8, beams=1, epochs=1,
    )  # fmt: skip
    # Tokens that the tokenizer does not have, though the model has room for them, spell nothing.
    answers = hfkit.load(str(run), sample=True, sample_temperature=9.0).predict(["rain"] * 8)
    assert all(isinstance(answer["text"], str) for answer in answers)


def test_what_classifies(tmp_path: Path) -> None:
    base, data, run = tmp_path / "base", tmp_path / "rows.jsonl", tmp_path / "run"
    pieces = write_pieces(base)
    pieces.rename(base / "sentencepiece.bpe.model")
    name_tokenizer(base, "XLMRobertaTokenizer")
    torch.manual_seed(0)
    XLMRobertaModel(
        XLMRobertaConfig(vocab_size=ROOM + 10, hidden_size=16, num_hidden_layers=1,
                         num_attention_heads=2, intermediate_size=16, pad_token_id=1)
    ).save_pretrained(base)  # fmt: skip
    data.write_text("".join(json.dumps(row) + "\n" for row in toy_rows(60)), "utf-8")
    hfkit.finetune(str(data), validation=str(data), model=str(base), output=str(run), epochs=1)
    assert (run / "tokenizer.json").is_file()
    (answer,) = hfkit.load(str(run)).predict(["rain and snow"])
    assert answer["label"] in TOPICS
