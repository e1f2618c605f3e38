"""Vocabularies as files."""

import pytest

from data_prep import DataError, vocabulary

WORDS = ["<unk>", "con", "chó", "a", "dog", "$x$", '"']


def test_a_file_of_words_is_read_as_it_was_written(tmp_path):
    (tmp_path / "v.txt").write_text("".join(f"{word}\n" for word in WORDS), encoding="utf-8")
    assert vocabulary.read(tmp_path / "v.txt") == WORDS
    (tmp_path / "v.txt").write_text("".join(f"{word}\r\n" for word in WORDS), encoding="utf-8-sig")  # as Notepad saves
    assert vocabulary.read(tmp_path / "v.txt") == WORDS


@pytest.mark.parametrize("content", [b"", b"a\nb\n", b"<unk>\na\na\n", b"<unk>\n\nb\n", b"\xff\xfe", None])
def test_what_is_no_vocabulary_is_named_in_one_line(tmp_path, content):
    path = tmp_path / "v.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as error:
        vocabulary.read(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)
