"""What hfkit takes where the user named nothing: a base model by language, a learning rate by size.

Each choice comes with its reason, which the commands print. Nothing is ever downloaded by default:
a model that is not on this disk is proposed, with the exact flag to type.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from hfkit.errors import InputError
from hfkit.families import OF_T5
from hfkit.model.facts import ModelFacts
from hfkit.model.locate import MINILM, is_cached, packaged_minilm

ENGLISH_MODEL = "answerdotai/ModernBERT-base"
MULTILINGUAL_MODEL = "FacebookAI/xlm-roberta-base"
# By task; English, the first one into German, French and Romanian too.
WRITING_MODELS = {"text2text": "google-t5/t5-small", "generation": "openai-community/gpt2"}
OTHERS = {"text2text": "mT5 or mBART", "generation": "Qwen or Llama"}  # for other languages

# (most parameters beside the embeddings, peak learning rate); how they were found:
# docs/learning-rates.md. Small models want larger steps.
LEARNING_RATES: tuple[tuple[float, float], ...] = (
    (15e6, 2e-4),
    (50e6, 1e-4),
    (150e6, 5e-5),
    (500e6, 2e-5),
    (float("inf"), 1e-5),
)
# T5 and its kin want larger steps than encoders of their size.
LEARNING_RATES_OF_T5: tuple[tuple[float, float], ...] = ((500e6, 3e-4), (float("inf"), 1e-4))
# Adapters want larger steps than the weights they change; from where: docs/learning-rates.md.
OF_ADAPTERS = 10.0

# First and last character of the blocks that tell scripts apart (Unicode 15).
SCRIPTS: tuple[tuple[str, str, str], ...] = (
    ("A", "z", "Latin"),
    ("\u00c0", "\u024f", "Latin"),
    ("\u1e00", "\u1eff", "Latin"),
    ("\u0370", "\u03ff", "Greek"),
    ("\u0400", "\u052f", "Cyrillic"),
    ("\u0530", "\u058f", "Armenian"),
    ("\u0590", "\u05ff", "Hebrew"),
    ("\u0600", "\u077f", "Arabic"),
    ("\u0900", "\u097f", "Devanagari"),
    ("\u0980", "\u09ff", "Bengali"),
    ("\u0b80", "\u0bff", "Tamil"),
    ("\u0e00", "\u0e7f", "Thai"),
    ("\u10a0", "\u10ff", "Georgian"),
    ("\u3040", "\u30ff", "Japanese"),
    ("\u4e00", "\u9fff", "Chinese"),
    ("\uac00", "\ud7af", "Korean"),
)
# Frequent words of English that others written in Latin letters lack: no "was" or "will" (German),
# "is" or "we" (Dutch), "as" or "do" (Portuguese), "for" or "her" (Danish), "i" or "by" (Polish).
ENGLISH_WORDS = frozenset(
    {
        "the",
        "of",
        "and",
        "to",
        "that",
        "it",
        "with",
        "are",
        "this",
        "be",
        "have",
        "you",
        "not",
        "from",
        "they",
        "but",
        "what",
        "how",
        "his",
        "which",
        "there",
        "their",
        "been",
        "who",
        "would",
        "my",
        "your",
        "did",
        "does",
        "i'm",
        "it's",
        "don't",
        "where",
        "when",
        "about",
        "our",
        "just",
        "why",
        "if",
        "were",
    }
)
ENGLISH_SHARE = 0.05  # of the words; English texts have 0.08 to 0.30, German ones 0.00 to 0.01
SAMPLE = 500  # texts looked at
WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")


def default_model(task: str, texts: Sequence[str]) -> tuple[str, str]:
    """Choose the base model for texts whose user named none; return its name and the reason.

    Raises `InputError` naming the flag to type where no fitting model is on this disk.
    """
    language = guess_language(texts)
    english = language == "English"
    if task in WRITING_MODELS:
        return _default_writer(task, english)
    look = "look English" if english else f"are in {language} script, not English"
    wanted = ENGLISH_MODEL if english else MULTILINGUAL_MODEL
    if is_cached(wanted):
        return wanted, f"the texts {look}"
    if english and packaged_minilm() is not None:
        return MINILM, f"the texts look English; a larger model does better: -m {ENGLISH_MODEL}"
    raise InputError(
        f"the texts {look}, and no base model for {task} on them is at hand",
        place="--model",
        hint=f"-m {wanted} downloads one, -m FOLDER takes yours",
    )


def _default_writer(task: str, english: bool) -> tuple[str, str]:
    """The base model that writes; there is no usual one for other languages than English."""
    wanted = WRITING_MODELS[task]
    if english and is_cached(wanted):
        return wanted, "the texts look English"
    hint = f"-m {wanted} downloads one for English" if english else f"such as {OTHERS[task]}"
    raise InputError(
        "no base model that writes is named", place="--model", hint=f"{hint}, -m FOLDER takes yours"
    )


def guess_language(texts: Sequence[str]) -> str:
    """Return "English", or the script that most letters of the first texts are in.

    >>> guess_language(["What is the capital of France?"])
    'English'
    >>> guess_language(["Wie heißt die Hauptstadt von Frankreich?"])
    'Latin'
    >>> guess_language(["法国的首都是哪里?"]), guess_language(["フランスの首都は?"])
    ('Chinese', 'Japanese')
    """
    sample = " ".join(text[:1000] for text in texts[:SAMPLE]).replace("\u2019", "'").lower()
    script = guess_script(sample)
    if script != "Latin":
        return script
    words = WORD.findall(sample)
    english = sum(word in ENGLISH_WORDS for word in words)
    return "English" if english >= ENGLISH_SHARE * len(words) else "Latin"


def guess_script(text: str) -> str:
    """The script of most letters; "unknown" without any. Kana make Chinese characters Japanese."""
    counts: dict[str, int] = {}
    for character in text:
        if character.isalpha():
            found = script_of(character)
            counts[found] = counts.get(found, 0) + 1
    if counts.get("Japanese", 0) > 0.1 * counts.get("Chinese", 0):
        counts["Japanese"] = counts.get("Japanese", 0) + counts.pop("Chinese", 0)
    return max(counts, key=lambda name: counts[name]) if counts else "unknown"


def script_of(letter: str) -> str:
    """The script of one letter; "another script" outside the table."""
    for first, last, name in SCRIPTS:
        if first <= letter <= last:
            return name
    return "another script"


def default_lr(facts: ModelFacts, *, adapters: bool = False) -> tuple[float, str]:
    """The peak learning rate for a model of this family and size, and the reason.

    The size counted is without embeddings: a multilingual model has many, but learns like the
    English model with as many layers.
    """
    table = LEARNING_RATES_OF_T5 if facts.model_type in OF_T5 else LEARNING_RATES
    rate = next(rate for most, rate in table if facts.body_parameters <= most)
    rate *= OF_ADAPTERS if adapters else 1.0
    size = f"{facts.body_parameters / 1e6:.0f}M parameters beside the embeddings"
    size += ", by adapters" if adapters else ""
    return rate, f"a {facts.model_type} with {size}"
