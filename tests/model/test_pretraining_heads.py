"""Heads of pre-training: asked at some places they say what the whole model says there."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from typing import Any

import pytest
import torch
import transformers
from toys import tiny_config

from hfkit.model.likelihood import Causal, Conditional
from hfkit.model.pretraining import MaskedWords, Pretraining
from hfkit.tasks.pretraining import NSP_FAMILIES

FAMILIES = ["bert", "roberta", "distilbert", "modernbert", "deberta-v2", "electra", "albert"]
IDS = torch.randint(5, 300, (3, 12), generator=torch.Generator().manual_seed(0))
MASK = torch.ones_like(IDS)
MASK[1, 8:] = 0
PLACES = torch.tensor([[1, 4], [2, 7], [11, 0]])


def made(family: str, kind: type[MaskedWords] = MaskedWords, best: int = 3, **more: Any) -> Any:
    changes = {"embedding_size": 16} if family in ("electra", "albert", "mobilebert") else {}
    if family == "mobilebert":
        changes |= {"true_hidden_size": 32, "intra_bottleneck_size": 32}
    config = tiny_config(family, **changes, **more)
    config.hfkit_best = best
    torch.manual_seed(0)
    return kind.from_config(config).eval()


@pytest.mark.parametrize("family", FAMILIES)
def test_it_says_what_the_whole_model_says_at_these_places(family: str) -> None:
    model = made(family)
    with torch.no_grad():
        whole = model.model(input_ids=IDS, attention_mask=MASK).logits
        wanted = whole.gather(1, PLACES.unsqueeze(-1).expand(-1, -1, whole.shape[-1]))
        likely = torch.log_softmax(wanted, dim=-1)
        answers = IDS.gather(1, PLACES)
        found = model(IDS, MASK, positions=PLACES, answers=answers)
        assert torch.equal(model(IDS, MASK).logits, whole)
        model.train()
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        trained = model(IDS, MASK, positions=PLACES)
    assert trained.logits.shape == (3, 2, whole.shape[-1])
    torch.testing.assert_close(found.answered, likely.gather(-1, answers.unsqueeze(-1))[..., 0])
    torch.testing.assert_close(found.best, likely.topk(3).values)
    assert torch.equal(found.best_ids[..., 0], wanted.argmax(-1))
    if family != "albert":  # whose dropouts are elsewhere, too
        torch.testing.assert_close(trained.logits, wanted, atol=1e-5, rtol=1e-4)


def test_the_gradients_are_those_of_the_whole_model() -> None:
    model = made("bert", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0).train()
    other = deepcopy(model)
    model(IDS, MASK, positions=PLACES).logits.square().sum().backward()
    whole = other.model(input_ids=IDS, attention_mask=MASK).logits
    whole.gather(1, PLACES.unsqueeze(-1).expand(-1, -1, 400)).square().sum().backward()
    for (name, one), (_, two) in zip(
        model.named_parameters(), other.named_parameters(), strict=True
    ):
        torch.testing.assert_close(one.grad, two.grad, atol=1e-4, rtol=1e-3, msg=name)


def test_batches_on_several_threads_do_not_meet() -> None:
    model = made("bert")
    places = [torch.full((3, 1 + n % 3), n % 12) for n in range(24)]
    with torch.no_grad():
        wanted = [model(IDS, MASK, positions=place).best for place in places]

        def compute(place: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                return model(IDS, MASK, positions=place).best

        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(compute, places))
    assert all(torch.equal(one, two) for one, two in zip(found, wanted, strict=True))


@pytest.mark.parametrize("family", NSP_FAMILIES)
def test_both_heads(family: str) -> None:
    model = made(family, Pretraining)
    with torch.no_grad():
        whole = model.model(input_ids=IDS, attention_mask=MASK)
        found = model(IDS, MASK, positions=PLACES)
        none = model(IDS, MASK, positions=torch.zeros(3, 0, dtype=torch.int64))
    torch.testing.assert_close(found.next_logits, whole.seq_relationship_logits)
    torch.testing.assert_close(none.next_logits, whole.seq_relationship_logits)
    assert none.best.shape == (3, 0, 3)


def test_the_folder_is_one_of_transformers(tmp_path) -> None:
    model = made("bert")
    model.save_pretrained(tmp_path)
    loaded = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        torch.testing.assert_close(loaded(IDS, MASK).logits, model(IDS, MASK).logits)
    assert "hfkit" not in (tmp_path / "config.json").read_text()
    assert not any("hfkit" in name for name in loaded.state_dict())


def test_a_causal_model_gives_each_token_its_probability() -> None:
    config = transformers.GPT2Config(vocab_size=300, n_embd=32, n_layer=2, n_head=2, n_positions=20)
    torch.manual_seed(0)
    plain = transformers.GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        likely = torch.log_softmax(plain(IDS).logits, -1)
        found = Causal(plain)(IDS, torch.ones_like(IDS)).answered
    for row in range(3):
        assert found[row, 0] == 0
        for place in range(1, 12):
            assert found[row, place] == pytest.approx(
                float(likely[row, place - 1, IDS[row, place]]), abs=1e-5
            )
    assert Causal(plain)(IDS[:, :1]).answered.tolist() == [[0.0]] * 3


def test_a_target_given_its_source() -> None:
    config = transformers.T5Config(
        vocab_size=300, d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2,
        decoder_start_token_id=0, pad_token_id=0,
    )  # fmt: skip
    torch.manual_seed(0)
    plain = transformers.T5ForConditionalGeneration(config).eval()
    labels = IDS[:, :5].contiguous()
    with torch.no_grad():
        loss = plain(input_ids=IDS, attention_mask=MASK, labels=labels).loss
        found = Conditional(plain)(IDS, labels, MASK).answered
    assert float(-found.mean()) == pytest.approx(float(loss), abs=1e-5)
