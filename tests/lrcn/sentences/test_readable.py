"""Captions for people: by hand, and back from what the release's rules and the Penn Treebank's make of real ones."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep import flickr30k, vocabulary
from lrcn.sentences.java import java
from lrcn.sentences.readable import readable
from tests.shared import FLICKR8K, needs


@pytest.mark.parametrize(
    "written, due",
    [
        ("A cup , medium , lies on the left.", "A cup, medium, lies on the left."),
        ("A man ' s hat.", "A man's hat."),
        ("A man 's hat.", "A man's hat."),
        ("A man ’ s hat.", "A man’s hat."),
        ("The hat is the man ' s.", "The hat is the man's."),
        ("It isn ' t there.", "It isn't there."),
        ("It is n't there and ca n't be.", "It isn't there and can't be."),
        ("They ' re at it , we ' ve seen , i ' ll go , i 'd say.", "They're at it, we've seen, i'll go, i'd say."),
        ("The dogs ' toys.", "The dogs' toys."),
        ("At five o ' clock they play rock ' n ' roll.", "At five o'clock they play rock 'n' roll."),
        ("A t - shirt in black - and - white.", "A t-shirt in black-and-white."),
        ("A dog and / or a cat -- both...", "A dog and/or a cat -- both..."),
        ('A sign that says " stop " , in red.', 'A sign that says "stop", in red.'),
        ('A sign that says " stop ", and " go ".', 'A sign that says "stop", and "go".'),
        ("A sign says `` stop ''.", 'A sign says "stop".'),
        ("A sign says ' stop ' in red.", "A sign says 'stop' in red."),
        ("A sign says “ stop ” in red.", "A sign says “stop” in red."),
        ("A pipe of 5 \" and a 6 ' pole.", "A pipe of 5\" and a 6' pole."),
        ("A dog ( wet ) , a cat -LRB- dry -RRB- and [ more ].", "A dog (wet), a cat (dry) and [more]."),
        ('" Stop " it says.', '"Stop" it says.'),
        ('" stop ." it says.', '"Stop." It says.'),
        ("a dog . it runs ! a cat ? yes", "A dog. It runs! A cat? Yes"),
        ("A dog ; a cat : both.", "A dog; a cat: both."),
        ("It costs $ 3 . 50 or 10 % of 1 , 000 at 10 : 30.", "It costs $3.50 or 10% of 1,000 at 10:30."),
        ("In 2010 , 200 people ran 3 , 4 miles.", "In 2010, 200 people ran 3, 4 miles."),
        ("A u . s . flag.", "A u.s. flag."),
        ("A dog runs . .", "A dog runs."),
        ("A dog runs ..", "A dog runs."),
        ("A dog runs !.", "A dog runs!"),
        ("A dog runs ...", "A dog runs..."),
        ("A dog runs...", "A dog runs..."),
        ("", ""),
        (".", "."),
        ("...", "..."),
        ("<unk> runs.", "<unk> runs."),
        ("éléphant gris.", "Éléphant gris."),
        ("Một con chó , đang chạy.", "Một con chó, đang chạy."),
        ("собака бежит.", "собака бежит."),
        ("ქართული ძაღლი.", "ქართული ძაღლი."),
        ("कुत्ता दौड़ता है ।", "कुत्ता दौड़ता है ।"),
        ("一 只 狗 。", "一 只 狗 。"),
        ("A dog, wet, isn't in the man's (red) \"t-shirt\".", "A dog, wet, isn't in the man's (red) \"t-shirt\"."),
    ],
)
def test_by_hand(written, due):
    assert readable(written) == due


WORDS = st.lists(
    st.sampled_from(["a", "dog", "man's", "t-shirt", "isn't", "(wet)", "3.5", "10:30", "dogs,", "it"]), min_size=1
)


@given(WORDS)
def test_what_the_release_takes_apart_is_put_together(words):
    text = " ".join(words).removesuffix(",")
    text = text[:1].upper() + text[1:] + "."
    line = " ".join(vocabulary.split(text))
    assert readable(line[:1].upper() + line[1:] + ".").lower() == text.lower()
    assert readable(text) == text


@given(st.text(st.sampled_from("ab .,'\"-()!?é一\u2028"), max_size=30))
def test_it_only_moves_blanks(text):
    """Nothing but blanks, capitals, a second end and the Treebank's quotes is changed."""

    def marks(line):
        return re.sub(r"""[\s.'"]""", "", line).lower()

    assert marks(readable(text)) == marks(text)
    assert "  " not in readable(text) and "\n" not in readable(text)


@needs(FLICKR8K)
def test_real_captions_come_back():
    """Of 5,000 captions by people, as the release takes them apart, whose own blanks are as people set them."""
    images = [
        image for image in flickr30k.read_flickr(FLICKR8K / "Flickr8k.token.txt", FLICKR8K) if image.split == "val"
    ]
    captions = [re.sub(r"\s+", " ", readable(caption)).strip() for image in images for caption in image.captions]
    back = [readable(" ".join(vocabulary.split(caption)) + ".") for caption in captions]
    same = [one.lower().rstrip(".") == two.lower().rstrip(".") for one, two in zip(captions, back)]
    assert sum(same) / len(same) > 0.98


@pytest.mark.skipif(not java(), reason="no Java")
def test_what_the_treebank_takes_apart_is_put_together():
    from lrcn.sentences.java import treebank_tokens

    text = "the man's dog isn't wet and they're in t-shirts"
    [words] = treebank_tokens([text])
    assert readable(" ".join(words)) == text[0].upper() + text[1:]
