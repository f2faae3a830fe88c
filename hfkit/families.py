"""What families of models have in common, by the ``model_type`` of their configuration."""

from __future__ import annotations

# They count distances between tokens, not positions: a text may be of any length, and the number
# that their configurations and tokenizers state is that of their training. Their decoders begin
# with the padding token, which config.json may leave unsaid.
OF_T5 = frozenset({"longt5", "mt5", "switch_transformers", "t5", "umt5"})
# They read one text and write another, which config.json may leave unsaid too.
WRITE_FOR_TEXTS = OF_T5 | {
    "bart", "bigbird_pegasus", "blenderbot", "blenderbot-small", "led", "m2m_100", "marian",
    "mbart", "pegasus", "pegasus_x", "plbart", "prophetnet",
}  # fmt: skip
# Families that look at both sides of a token, unless they are configured not to.
BOTH_SIDES = frozenset({
    "albert", "bert", "big_bird", "camembert", "convbert", "data2vec-text", "deberta", "deberta-v2",
    "distilbert", "electra", "ernie", "esm", "flaubert", "fnet", "ibert", "layoutlm", "longformer",
    "luke", "megatron-bert", "mobilebert", "modernbert", "mpnet", "nystromformer", "rembert",
    "roberta", "roberta-prelayernorm", "roformer", "squeezebert", "xlm-roberta", "xlm-roberta-xl",
    "xmod", "yoso",
})  # fmt: skip
