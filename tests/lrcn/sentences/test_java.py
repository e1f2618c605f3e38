"""METEOR and the Penn Treebank's tokens: against pycocoevalcap's own way of starting them, in any language, over any
character, and whatever goes wrong with Java."""

import itertools
import os
import sys
import tempfile

import pytest

from data_prep import flickr30k
from lrcn.sentences import java, metrics
from lrcn.sentences.java import JavaError, Meteor, treebank_tokens
from prototxt_gen import SpecError
from tests.shared import FLICKR8K, needs

needs_java = pytest.mark.skipif(not java.java(), reason="no Java")

SAID = {1: "the cat sat on the mat", 2: "a dog runs"}
TRUE = {1: ["the cat is on the mat", "there is a cat on the mat"], 2: ["a dog runs fast", "the dog is running"]}
LINE_ENDS = ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Puts a `java` on PATH that is this shell script; METEOR is started anew."""

    def put(script):
        path = tmp_path / "bin" / "java"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    meteor = Meteor()
    monkeypatch.setattr(Meteor, "of_process", lambda: meteor)
    yield put
    meteor.close()


@needs_java
def test_tokens_are_pycocoevalcaps():
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    texts = ["", "The man's dog isn't 3-4 (years) old.", 'A "wet" dog; runs --', "1 1/2 cups", "Một con chó", "...", ""]
    theirs = PTBTokenizer().tokenize({number: [{"caption": text}] for number, text in enumerate(texts)})
    assert treebank_tokens(texts) == [theirs[number][0].split() for number in range(len(texts))]


@needs_java
def test_no_character_moves_a_caption_against_its_neighbour():
    """Any of the first 65,536, halves of surrogate pairs among them: a text each, whose first word it must stay."""
    texts = [f"w{code} a{chr(code)}b" for code in range(0x10000)]
    tokens = treebank_tokens(texts)
    assert len(tokens) == len(texts)
    assert [words[0] for words in tokens] == [f"w{code}" for code in range(0x10000)]


@needs_java
def test_a_line_end_in_a_caption_scores_as_a_blank():
    """In METEOR's protocol, and among its segments, as under both kinds of tokens."""
    for tokens in metrics.TOKENS:
        due = metrics.score(SAID, TRUE, tokens)
        for end in LINE_ENDS:
            captions = {key: text.replace(" ", end, 1) for key, text in SAID.items()}
            references = {key: [text.replace(" ", end, 1) for text in texts] for key, texts in TRUE.items()}
            assert metrics.score(captions, references, tokens) == due, (tokens, end)
    meteor = Meteor.of_process()
    due = meteor.score(list(SAID.values()), list(TRUE.values()))
    for end in [*LINE_ENDS, " ||| ", "|||"]:
        said = [text.replace(" ", end, 1) for text in SAID.values()]
        assert meteor.score(said, list(TRUE.values())) == due


@needs_java
@needs(FLICKR8K)
@pytest.mark.slow
def test_real_captions_with_every_line_end_score_as_without():
    """Of Flickr8k's dev images: the first caption of each against the four others, a line end in every fifth."""
    images = [each for each in flickr30k.read_flickr(FLICKR8K / "Flickr8k.token.txt", FLICKR8K) if each.split == "val"]
    ends = itertools.cycle([*LINE_ENDS, *[None] * (4 * len(LINE_ENDS) + 1)])  # shares no divisor with five captions
    captions, broken, references, broken_references = {}, {}, {}, {}
    for image in images:
        marks = [next(ends) for _ in image.captions]
        odd = [text.replace(" ", end, 1) if end else text for text, end in zip(image.captions, marks)]
        (captions[image.file], *references[image.file]), (broken[image.file], *broken_references[image.file]) = (
            image.captions,
            odd,
        )
    assert all(any(end in text for text in broken.values()) for end in LINE_ENDS)
    for tokens in metrics.TOKENS:
        due = metrics.score(captions, references, tokens)
        assert metrics.score(broken, broken_references, tokens) == due and due["METEOR"] > 0.2


@needs_java
def test_java_counts_in_english(monkeypatch):
    due = Meteor.of_process().score(list(SAID.values()), list(TRUE.values()))
    for variable in ("JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS"):
        monkeypatch.setenv(variable, "-Duser.language=it -Duser.country=IT -Duser.language.format=it")
    meteor = Meteor()
    assert meteor.score(list(SAID.values()), list(TRUE.values())) == due
    meteor.close()


@needs_java
def test_no_file_is_written(monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    for name in ("NamedTemporaryFile", "TemporaryFile", "mkstemp", "mkdtemp"):
        monkeypatch.setattr(tempfile, name, refuse)
    assert treebank_tokens(["A dog."]) == [["a", "dog"]]


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("exit 0", "ended with status 0"),
        ('echo "Error occurred during initialization of VM" >&2; echo "no 2 GB" >&2; exit 1', "status 1: no 2 GB"),
        ('echo "Picked up JAVA_TOOL_OPTIONS: x" >&2; exit 3', "ended with status 3"),
        ("kill -9 $$", "signal 9, as where memory is short"),
        ("while read line; do echo 0,5 0,3; done", "says '0,5 0,3' where numbers are due"),
        ("while read line; do echo NaN; done", "says 'NaN' where numbers are due"),
        ("exec yes junk", "says 'junk' where numbers are due"),
        ("yes | tr -d '\\n'", "without an end"),
        ("exec sleep 1000", "says nothing for"),
        ("read line; echo 1 2; exec sleep 1000", "says nothing for"),
        ("exec 1>&-; sleep 1000", "says no more and does not end|says nothing for"),  # where it is slow to begin
        ("sleep 1000 & exit 1", "ended with status 1|says nothing for"),
    ],
)
def test_a_java_that_fails_costs_meteor_alone(fake, monkeypatch, script, why):
    """And the second system is not made to wait for it again."""
    fake(script)
    monkeypatch.setattr(java, "SILENCE", 0.3 if "1000" in script else 30)
    scores = metrics.score(SAID, TRUE)
    assert scores["METEOR"] is None and scores["BLEU-1"] > 0.5
    [note] = scores["notes"]
    assert note.startswith("METEOR was not computed: ") and "\n" not in note
    assert any(words in note for words in why.split("|")), note
    fake("touch " + os.path.join(os.path.dirname(os.environ["PATH"].split(os.pathsep)[0]), "again"))
    assert metrics.score(SAID, TRUE)["notes"] == [note]
    assert not os.path.exists(os.path.join(os.path.dirname(os.environ["PATH"].split(os.pathsep)[0]), "again"))


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("exit 1", "ended with status 1"),
        ("cat; echo", "says '' beyond what it was asked"),
        ("cat; exit 1", "ended with status 1"),
        ("head -n 1", "ended with status 0"),
        ("exec sleep 1000", "says nothing for"),
    ],
)
def test_tokens_of_a_java_that_fails_are_refused(fake, monkeypatch, script, why):
    """One line fewer or more would set every caption beside its neighbour's references."""
    fake(script)
    monkeypatch.setattr(java, "SILENCE", 0.3 if "1000" in script else 30)
    with pytest.raises(SpecError, match=why) as error:
        metrics.tokenise(TRUE, "ptb")
    assert "\n" not in str(error.value) and "'plain' needs no Java" in str(error.value)


def test_a_java_that_cannot_be_started(fake, tmp_path, monkeypatch):
    fake("")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin" / "java").write_bytes(b"\x7fELF")
    with pytest.raises(JavaError, match="cannot be started"):
        treebank_tokens(["a"])


def test_many_lines_are_asked_and_answered(fake):
    """More than a pipe holds, both ways."""
    fake(f"exec {sys.executable} -c 'import sys; sys.stdout.writelines(sys.stdin)'")
    texts = ["word " * 200 + str(number) for number in range(2000)]
    assert treebank_tokens(texts) == [text.split() for text in texts]
