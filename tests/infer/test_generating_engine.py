"""What is written behind a prompt does not depend on the rows beside it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toys import FILLERS, TOPICS, write_generator

from hfkit.infer.generating_engine import GeneratingEngine, stopped
from hfkit.infer.predictor import Predictor
from hfkit.infer.torch_engine import TorchEngine, engine_of
from hfkit.infer.writing_engine import NOTHING
from hfkit.model.load import load_for_prediction
from hfkit.registry import make_task
from hfkit.run.speaking import Spoken
from hfkit.text import from_transformers

WORDS = [*FILLERS, *TOPICS["music"], *TOPICS["weather"]]


def rows(count=23):
    chance = np.random.default_rng(4)
    return [{"text": " ".join(chance.choice(WORDS, chance.integers(1, 12)))} for _ in range(count)]


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def folder(request, tmp_path_factory):
    return write_generator(tmp_path_factory.mktemp(request.param), request.param)


def predictor(folder, batch_size=None, asked=True, **options):
    task = make_task("generation", {"max_new_tokens": 12, **options})
    task.asked = asked
    task.restore({"model_type": "llama", "eos_token_id": 3, "max_position_embeddings": 64})
    tokenizer = from_transformers(folder, 40)
    task.read_with(tokenizer)
    model = load_for_prediction(folder, task.auto_class, task.head())
    return Predictor(task, tokenizer, engine_of(model), batch_size)


MANNERS = {
    "greedy": {"min_new_tokens": 2},
    "beams": {"beams": 3, "length_penalty": 0.5, "no_repeat_ngram": 2, "min_new_tokens": 3},
    "drawn": {"sample": True, "sample_temperature": 0.8, "sample_top_k": 50, "sample_top_p": 0.9},
    "stopped": {"sample": True, "stop": ["a", "##", "i"]},
}


@pytest.mark.parametrize("manner", MANNERS)
def test_neighbours_do_not_show(folder, manner, assert_neighbours_do_not_show):
    assert_neighbours_do_not_show(
        lambda at_once: predictor(folder, at_once, **MANNERS[manner]), rows()
    )


@pytest.mark.parametrize("beams", [1, 3])
def test_it_is_what_transformers_writes(folder, beams):
    asked = predictor(folder, beams=beams)
    assert isinstance(asked.engine, GeneratingEngine)
    encoded = asked.encode(rows(6))
    outputs = asked.run(encoded)
    for row, output in zip(encoded, outputs, strict=True):
        expected = asked.engine.model.model.generate(
            torch.tensor([row["input_ids"]]), num_beams=beams, max_new_tokens=12, do_sample=False
        )
        written = output["ids"][output["ids"] != NOTHING].tolist()
        start = len(row["input_ids"])
        assert written == expected[0, start : start + len(written)].tolist()


def test_the_seed_decides_what_is_drawn(folder):
    given = rows()
    first, again, other = (
        predictor(folder, sample=True, sample_seed=seed).predict(given) for seed in (0, 0, 1)
    )
    assert first == again != other


def test_stop_words_end_texts_and_computing(folder):
    given = rows(8)
    whole = predictor(folder, min_new_tokens=6).predict(given)
    word = whole[0]["text"].split()[2]
    asked = predictor(folder, min_new_tokens=6, stop=[word])
    found = asked.predict(given)
    assert [one["text"] for one in found] == [one["text"].split(word)[0] for one in whole]
    steps = []
    asked.engine.listener = steps.append
    asked.predict(given[:1])
    assert len(steps) < 12, "it went on writing"


def test_a_word_is_looked_for_in_whole_texts():
    def spelled(rows, first=""):
        return [first + " ".join(map(str, row)) for row in rows]

    def cut(rows):
        return [spelled([row], "" if len(row) > 5 else "x")[0] for row in rows]

    assert stopped([[1, 2, 3], [1, 3, 2]], ["2 3"], spelled) == [True, False]
    assert stopped([list(range(9))], ["x"], cut) == [False], "the end alone has it"


def test_a_judging_model_is_asked_once(folder):
    assert type(predictor(folder, asked=False).engine) is TorchEngine


def test_written_and_judged_in_one_go(folder):
    given = [{"prompt": row["text"], "completion": "rain drum"} for row in rows(9)]
    both = predictor(folder, 4, asked=False, written=True).predict(given)
    judged = predictor(folder, 9, asked=False).predict(given)
    written = predictor(folder, 3).predict([{"text": one["prompt"]} for one in given])
    for one, likely, text in zip(both, judged, written, strict=True):
        assert one["text"] == text["text"]
        assert one["tokens"] == likely["tokens"] and one["found"] == likely["found"]
        assert one["loss"] == pytest.approx(likely["loss"], rel=1e-5)


def test_several_threads_write_the_same(folder):
    given = rows(40)
    expected = predictor(folder, 4, beams=2).predict(given)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert predictor(folder, 4, beams=2).predict(given) == expected
    finally:
        torch.set_num_threads(before)


def test_a_text_is_shown_as_it_comes(folder):
    asked = predictor(folder, min_new_tokens=5)
    shown = []
    table = type("Table", (), {"text": lambda self, results: results + "\n"})()
    writer = Spoken(table, shown.append, asked.tokenizer.spelled, [], strips=False)
    asked.engine.listener = writer.hear
    (answer,) = asked.predict(rows(1))
    assert len(shown) > 4 and answer["text"].startswith("".join(shown))
    assert "".join(shown) + writer.text(answer["text"]) == answer["text"] + "\n"
