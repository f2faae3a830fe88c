"""Made-up texts with the lengths of real ones, for measuring speed where no data is at hand.

Their words are common ones, so that a tokenizer has as much to do as with real text; they mean
nothing. The same kind, number and seed give the same texts.
"""

from __future__ import annotations

from random import Random
from typing import Literal, get_args

Lengths = Literal["short", "mixed", "long"]

# Median and spread (of the logarithm) of the number of words, and their bounds: questions to a bank
# and phrases of film reviews; paragraphs of an encyclopaedia.
SHORT = (13, 0.55, 2, 50)
LONG = (165, 0.55, 30, 330)
SHARE_OF_LONG = 0.25  # of mixed texts

COMMON = """
the of and to in a is that for it as was with be by on not he his but at are this have from or had
an they which one you were her all she there would their we him been has when who will more no if
out so said what up its about into than them can only other new some could time these two may then
do first any my now such like our over man me even most made after also did many before must through
years where much your way well down should because each just those people how too little state good
very make world still own see men work long get here between both life being under never day same
another know while last might us great old year off come since against go came right used take three
account card payment transfer bank question answer city river history century government music film
company engine language university population northern southern building published recorded
beautiful terrible characters performance director entertaining surprisingly predictable
"""
WORDS = COMMON.split()


def made_texts(lengths: Lengths, count: int, seed: int = 0) -> list[str]:
    """Return `count` texts whose lengths are spread as those of short, long or mixed real texts.

    >>> texts = made_texts("mixed", 100)
    >>> texts == made_texts("mixed", 100), texts == made_texts("mixed", 100, seed=1)
    (True, False)
    >>> sum(len(text.split()) > 60 for text in texts) in range(10, 40)
    True
    """
    if lengths not in get_args(Lengths):
        raise ValueError(lengths)
    chance = Random(seed)
    return [_text(chance, lengths) for _ in range(count)]


def _text(chance: Random, lengths: Lengths) -> str:
    is_long = lengths == "long" or (lengths == "mixed" and chance.random() < SHARE_OF_LONG)
    median, spread, least, most = LONG if is_long else SHORT
    words = round(median * chance.lognormvariate(0.0, spread))
    return made_text(min(max(words, least), most), chance)


def made_text(words: int, chance: Random) -> str:
    """One text of so many words, in sentences.

    >>> len(made_text(40, Random(0)).split())
    40
    """
    found = chance.choices(WORDS, k=words)
    for start in range(0, words, 15):
        found[start] = found[start].capitalize()
        end = min(start + 15, words) - 1
        found[end] += "."
    return " ".join(found)
