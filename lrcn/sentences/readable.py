"""Captions as people write them, of captions as nets write them, with a blank between any two words and marks."""

from __future__ import annotations

import re
import unicodedata

CLOSING = re.compile(r"[,;:!?%)\]}…]|\.+")  # stands at what is before it
OPENING = re.compile(r"[(\[{$£€#]")  # stands at what is after it
JOINING = ("-", "/")  # stands at both
QUOTES = {'"': '"', "``": '"', "''": '"', "“": "“", "”": "”"}
APOSTROPHES = ("'", "’", "`")
BRACKETS = {"-lrb-": "(", "-rrb-": ")", "-lsb-": "[", "-rsb-": "]", "-lcb-": "{", "-rcb-": "}"}
SUFFIX = re.compile(r"['’](?:s|t|re|ve|ll|d|m)|n['’]t", re.IGNORECASE)  # man 's, is n't
AFTER_APOSTROPHE = ("s", "t", "re", "ve", "ll", "d", "m", "clock")  # man ' s, isn ' t, o ' clock
NO_OWNERS = ("says", "reads", "is", "was", "as")  # before what is quoted
MARK = re.compile(r"\.+|-{2,}|``|''|.")  # of several in a run: '",'


def readable(text: str) -> str:
    """The caption with blanks where people set them: marks at their words ("man's", "isn't", "t-shirt"), quotes and
    brackets at what they hold; each sentence begins with a capital, where its letters are Latin.

    Takes the words of the release ("man ' s") and of the Penn Treebank ("man 's"), all that NLTK's detokeniser knows.
    What stands together already stays so, and letters and marks of other scripts stay as they are.
    """
    body, end = re.fullmatch(r"(.*?)(\.{3}|\.)?", " ".join(text.split())).groups()
    written, glued, begins, last, quotes = "", True, True, "", set()  # last: the word before a run of marks
    words = [piece for word in body.split() for piece in _pieces(word)]
    for before, word, after in zip(["", *words], words, [*words[1:], ""]):
        left, right = _sides(word, before, after, quotes)
        written += ("" if left or glued else " ") + (_capitalised(word) if begins else QUOTES.get(word, word))
        glued = right
        last = word if _is_word(word) else last
        ends = word in ("!", "?") or (word == "." and "." not in (before, after))  # a run of them ends no sentence
        begins = ends and len(last) > 1 and not right or begins and not _is_word(word)
    ended = written.endswith((".", "!", "?"))
    return written + ("" if end == "." and ended else end or "")


def _pieces(word: str) -> list[str]:
    """A word alone; the marks of a run."""
    word = BRACKETS.get(word.lower(), word)
    return [word] if re.search(r"\w", word) or not word.isascii() else MARK.findall(word)


def _sides(word: str, before: str, after: str, quotes: set[str]) -> tuple[bool, bool]:
    """Whether a word stands at the one before it, and at the one after it. quotes: those that are open; kept up to
    date."""
    if word in APOSTROPHES:
        return _sides_of_apostrophe(before, after, quotes)
    if word in QUOTES:
        return _sides_of_quote(QUOTES[word], before, after, quotes)
    if word in JOINING:
        return (True, True) if _is_word(before) and _is_word(after) else (False, False)
    if SUFFIX.fullmatch(word):
        return _is_word(before), False
    if OPENING.fullmatch(word):
        return False, True
    if CLOSING.fullmatch(word):
        return True, _within_number(word, before, after)
    return False, False


def _sides_of_apostrophe(before: str, after: str, quotes: set[str]) -> tuple[bool, bool]:
    if _is_word(before) and after.lower() in AFTER_APOSTROPHE:
        return True, True
    owners = before.lower().endswith("s") and before.lower() not in NO_OWNERS
    if "'" not in quotes and not owners:
        return _sides_of_quote("'", before, after, quotes)
    quotes.discard("'")  # or it is the dogs' own
    return True, False


def _sides_of_quote(quote: str, before: str, after: str, quotes: set[str]) -> tuple[bool, bool]:
    if quote in quotes or quote == "”" or not after or before.isdigit():  # 5" are inches
        quotes.discard(quote)
        return True, False
    if quote != "“":
        quotes.add(quote)
    return False, True


def _within_number(mark: str, before: str, after: str) -> bool:
    """Whether a mark goes on: 3.5, 10:30, 1,000, and u.s."""
    if mark == ".":
        return (before.isdigit() and after.isdigit()) or (len(before) == len(after) == 1 and (before + after).isalpha())
    if mark == ",":
        return bool(re.fullmatch(r"\d{1,3}", before) and re.fullmatch(r"\d{3}", after))
    return mark == ":" and before.isdigit() and after.isdigit()


def _is_word(word: str) -> bool:
    return bool(re.search(r"\w", word))


def _capitalised(word: str) -> str:
    """The word with its first letter a capital, where that is Latin; the unknown word, "<unk>", as it is."""
    word = QUOTES.get(word, word)
    latin = word[:1].isalpha() and unicodedata.name(word[0], "").startswith("LATIN") and len(word[0].upper()) == 1
    return word[0].upper() + word[1:] if latin else word
