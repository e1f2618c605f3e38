"""Text as editors, spreadsheets and shells of several systems save it."""

import codecs

import pytest

from readers.text import read_lines, read_text

TEXT = "cartwheel/c0 1\nété/straße 0\n"


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        TEXT.replace("\n", "\r\n").encode(),
        TEXT.replace("\n", "\r\n").encode("utf-8-sig"),
    ],
    ids=["plain", "mark", "windows", "windows with a mark"],
)
def test_is_read_the_same_however_it_was_saved(tmp_path, content):
    file = tmp_path / "list.txt"
    file.write_bytes(content)
    assert read_text(file, ValueError) == TEXT
    assert read_lines(file, ValueError) == ["cartwheel/c0 1", "été/straße 0"]


@pytest.mark.parametrize(
    "mark, encoding",
    [
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
        (b"", "utf-16-le"),
        (b"", "utf-16-be"),
    ],
)
def test_utf_16_is_called_so(tmp_path, mark, encoding):
    file = tmp_path / "list.txt"
    file.write_bytes(mark + "cartwheel/c0 1\n".encode(encoding))
    with pytest.raises(ValueError, match=r"list.txt: saved as UTF-16, not UTF-8; save it as UTF-8$"):
        read_text(file, ValueError)


@pytest.mark.parametrize(
    "content, what",
    [
        (b"a 0\ncaf\xe9 1\n", r"list.txt:2: not UTF-8 \(byte 0xe9 at 7\); save it as UTF-8"),
        (b"\xef\xbb\xbfcaf\xe9\n", r"list.txt:1: not UTF-8 \(byte 0xe9"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", r"list.txt: not a text file \(byte 8 is NUL\); name the list"),
    ],
    ids=["latin-1", "latin-1 with a mark", "a picture"],
)
def test_names_where_it_is_no_text(tmp_path, content, what):
    file = tmp_path / "list.txt"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=what):
        read_text(file, ValueError, mend="name the list")


def test_a_missing_file_and_a_folder_come_with_the_mend_and_the_error_asked_for(tmp_path):
    class Complaint(ValueError):
        pass

    with pytest.raises(Complaint, match="no.txt: no such file; name the list$"):
        read_text(tmp_path / "no.txt", Complaint, "name the list")
    with pytest.raises(Complaint, match="a folder, not a file; name the list$"):
        read_lines(tmp_path, Complaint, "name the list")


def test_only_line_ends_end_a_line(tmp_path):
    file = tmp_path / "list.txt"
    odd = "one\u2028two\x0bthree\x0cfour\x85five"
    file.write_text(f"{odd}\nlast", encoding="utf-8")
    assert read_lines(file, ValueError) == [odd, "last"]


def test_an_empty_file_has_no_line(tmp_path):
    file = tmp_path / "list.txt"
    file.write_bytes(b"\xef\xbb\xbf")
    assert read_text(file, ValueError) == "" and read_lines(file, ValueError) == []
