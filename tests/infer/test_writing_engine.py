"""What is written does not depend on the rows beside it, on memory, or on threads."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toys import write_writer

from hfkit.errors import ResourceError
from hfkit.infer import writing_engine
from hfkit.infer.predictor import Predictor
from hfkit.infer.torch_engine import TorchEngine, engine_of
from hfkit.infer.writing_engine import NOTHING, WritingEngine, ended, seed_of
from hfkit.model.load import load_for_prediction
from hfkit.registry import make_task
from hfkit.text import from_transformers

WORDS = [
    "rain",
    "sun",
    "cloud",
    "wind",
    "storm",
    "the",
    "a",
    "my",
    "some",
    "very",
    "pan",
    "oven",
    "knife",
    "soup",
    "drum",
    "song",
    "choir",
]


def rows(count=23):
    chance = np.random.default_rng(4)
    return [{"text": " ".join(chance.choice(WORDS, chance.integers(1, 12)))} for _ in range(count)]


@pytest.fixture(scope="module", params=["t5", "bart"])
def folder(request, tmp_path_factory):
    far_apart = {"t5": {"initializer_factor": 4.0}, "bart": {"init_std": 0.6}}  # from each other
    folder = tmp_path_factory.mktemp(request.param)
    return write_writer(folder, request.param, **far_apart[request.param])


def predictor(folder, batch_size=None, **options):
    task = make_task("text2text", {"max_target_length": 12, **options})
    tokenizer = from_transformers(folder, 40)
    task.read_with(tokenizer)
    model = load_for_prediction(folder, task.auto_class, task.head())
    return Predictor(task, tokenizer, engine_of(model), batch_size)


MANNERS = {
    "greedy": {"beams": 1, "min_new_tokens": 2},
    "beams": {"beams": 3, "length_penalty": 0.5, "no_repeat_ngram": 2, "min_new_tokens": 3},
    "drawn": {"sample": True, "sample_temperature": 0.8, "sample_top_k": 50, "sample_top_p": 0.9},
}


@pytest.mark.parametrize("manner", MANNERS)
def test_neighbours_do_not_show(folder, manner, assert_neighbours_do_not_show):
    assert_neighbours_do_not_show(
        lambda at_once: predictor(folder, at_once, **MANNERS[manner]), rows()
    )


def test_it_is_what_transformers_writes(folder):
    asked = predictor(folder, beams=3)
    engine = asked.engine
    assert isinstance(engine, WritingEngine)
    encoded = asked.encode(rows(6))
    outputs = asked.run(encoded)
    for row, output in zip(encoded, outputs, strict=True):
        expected = engine.model.generate(
            torch.tensor([row["input_ids"]]), num_beams=3, max_new_tokens=12
        )
        written = output["ids"][output["ids"] != NOTHING].tolist()
        assert written == expected[0, 1 : len(written) + 1].tolist()


def test_the_seed_decides_what_is_drawn(folder):
    given = rows()
    first, again, other = (
        predictor(folder, sample=True, sample_seed=seed).predict(given) for seed in (0, 0, 1)
    )
    assert first == again != other
    assert seed_of([1, 2], 0) != seed_of([1, 2], 1) != seed_of([2, 1], 1)
    twice = predictor(folder, sample=True).predict([given[0], given[0]])
    assert twice[0] == twice[1]


def test_drawing_follows_the_probabilities():
    """Over many seeds a token is drawn as often as its probability says."""
    logits = torch.tensor([[2.0, 1.0, 0.0, -1.0]])
    sampling = {"temperature": 1.0, "top_k": None, "top_p": None}
    counts = torch.zeros(4)
    for seed in range(3000):
        ids = torch.tensor([[5, 6]])
        processors = writing_engine.drawing({**sampling, "seed": seed}, ids, torch.ones_like(ids))
        counts[processors(ids, logits.clone()).argmax()] += 1
    assert (counts / 3000).tolist() == pytest.approx(logits.softmax(-1)[0].tolist(), abs=0.03)


def test_a_batch_that_does_not_fit_is_halved(folder, monkeypatch):
    asked = predictor(folder, 8, beams=2)
    given = rows(8)
    expected = asked.predict(given)
    compute, sizes = WritingEngine._compute, []

    def tight(self, tensors):
        sizes.append(len(tensors["input_ids"]))
        if sizes[-1] > 3:
            raise torch.OutOfMemoryError("out of memory")
        return compute(self, tensors)

    monkeypatch.setattr(WritingEngine, "_compute", tight)
    assert asked.predict(given) == expected and max(sizes) == 8
    monkeypatch.setattr(WritingEngine, "_compute", lambda *_: _fail())
    with pytest.raises(ResourceError, match="one row"):
        asked.predict(given)


def _fail():
    raise torch.OutOfMemoryError("out of memory")


def test_several_threads_write_the_same(folder):
    given = rows(40)
    asked = predictor(folder, 4, beams=2)
    expected = asked.predict(given)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert predictor(folder, 4, beams=2).predict(given) == expected
    finally:
        torch.set_num_threads(before)


def test_what_stands_behind_the_end_is_nothing():
    ids = np.array([[5, 3, 0, 0], [3, 5, 3, 0], [5, 6, 7, 8]])
    assert ended(ids, [3, 9]).tolist() == [[5, 3, -1, -1], [3, -1, -1, -1], [5, 6, 7, 8]]
    assert ended(ids, None).tolist() == ids.tolist()


def test_other_models_have_the_engine_they_had(tiny_classifier_folder):
    model = load_for_prediction(tiny_classifier_folder, "AutoModelForSequenceClassification")
    assert type(engine_of(model)) is TorchEngine
