"""CSV and JSON of captions as people have them: what is read, and the line that says what is wrong."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep import DataError, flickr30k
from data_prep.captions import Image, read_captions
from data_prep.source_files import Table, image_key, lines
from readers.json_files import read_json

HEAD = "image,split,caption\n"
ROWS = [f"{number}.jpg,train,a dog barks\n" for number in range(6)]


def read(tmp_path, text, name="set.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return read_captions(path)


def damaged(number, row):
    return HEAD + "".join([*ROWS[:number], row, *ROWS[number + 1 :]])


@pytest.mark.parametrize(
    "text, said",
    [
        (
            damaged(0, "0.jpg,train,A man , in red , rides\n"),
            ":2: more fields than columns (5, not 3); put texts with commas",
        ),
        (damaged(2, "2.jpg,train\n"), ":4: 2 fields for 3 columns; give each row a caption"),
        (damaged(2, '2.jpg,train,"a dog\n'), ":4: a quote that does not end"),
        (
            damaged(2, '2.jpg,train,"a dog\n').replace("4.jpg,train,a", '4.jpg,train,"a'),
            ":4: text behind a quote that ends",
        ),
        (damaged(2, '2.jpg,train,"a dog\n').replace("barks\n5", 'barks"\n5'), ":4: a quote that ends in a later row"),
        (damaged(2, '2.jpg,train,"a" dog\n'), ":4: text behind a quote that ends"),
        (damaged(2, '2.jpg,train,"' + "a dog\n" * 40000), ":4: a quote that does not end"),
        (HEAD.replace("split", "caption,split") + "", ":1: two columns 'caption'"),
        ("image;split;caption;image\n", ":1: two columns 'image'"),
        (HEAD.replace("split", "part") + ROWS[0], "has no column split; line 1 must name image, caption, split"),
        ("", ": an empty file; its line 1 must name image, caption, split (train, val or test)"),
        (HEAD, ": holds no caption"),
        (
            damaged(2, f"2.jpg,train,{'a dog ' * 30000}\n"),
            ":4: a quote that does not end, or a text of more than 131072",
        ),
        (HEAD + ",train,a dog\n", ":2 has no image"),
        (HEAD + "a.jpg,trian,a dog\n", ":2: split 'trian'"),
        (HEAD + "a.jpg,train,a\0dog\n", "NUL"),
    ],
)
def test_rows_that_do_not_fit(tmp_path, text, said):
    for name in ("set.csv", "set.txt"):
        with pytest.raises(DataError) as error:
            read(tmp_path, text, name)
        assert said in str(error.value) and str(error.value).startswith(str(tmp_path / name))
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("separator", [",", "\t", ";", "|"])
@pytest.mark.parametrize("name", ["set.csv", "captions.txt", "set.tsv", "set"])
def test_the_content_tells_the_kind_of_file(tmp_path, separator, name):
    due = [Image("a.jpg", "train", ["A man, in red; he | rides.", 'He "sits".']), Image("b.jpg", "val", ["two\nlines"])]
    text = io.StringIO(newline="")
    rows = csv.writer(text, delimiter=separator)
    rows.writerow(["caption", "image", "note", "split"])
    rows.writerows([caption, image.file, "", image.split] for image in due for caption in image.captions)
    assert read(tmp_path, text.getvalue(), name) == due
    assert read(tmp_path, text.getvalue(), name, "utf-8-sig") == due
    blank = f"{separator}{separator}{separator}\n  \n\n"
    assert read(tmp_path, text.getvalue().replace("split\r\n", f" Split \r\n{blank}") + blank, name) == due
    entries = '[{"image": "a.jpg", "caption": "x", "split": "train"}]'
    assert read(tmp_path, "\n " + entries, name) == [Image("a.jpg", "train", ["x"])]


CELL = st.text(st.sampled_from("ab \"',;\t|é\u2028\x85\x0c"), min_size=1).map(lambda text: f"x{text}x")


@given(st.lists(st.tuples(CELL, CELL), max_size=8), st.sampled_from(",\t;|"))
def test_what_csv_writes_is_read(rows, separator):
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=separator, quoting=csv.QUOTE_ALL)
    writer.writerows([("one", "two"), *rows])
    table = Table(text.getvalue().replace("\r\n", "\n"), "x.csv", ("one", "two"))
    assert [(row["one"], row["two"]) for _, row in table] == rows
    assert [where for where, _ in table] == [f"x.csv:{number}" for number in range(2, len(rows) + 2)]


def test_values_of_json_that_are_no_captions(tmp_path):
    def says(entry, said):
        with pytest.raises(DataError, match=said) as error:
            read(tmp_path, f"[{entry}]", "set.json")
        assert "\n" not in str(error.value)

    says('{"image": "a", "split": "train", "captions": null}', "entry 1 has no caption")
    says(
        '{"image": "a", "split": "train", "captions": ["x", null]}', r"at \[0\].captions\[1\]: a text is due, not null"
    )
    says('{"image": "a", "split": "train", "captions": {"0": "x"}}', r"at \[0\].captions: .* is due, not {")
    says('{"image": "a"}]\n[3', "a second value begins in line 2")
    says('{"image": "a", "split": "train", "caption": "x", "caption": "y"}', "two values of 'caption', 'x' and 'y'")
    says('{"image": "a", "split": "train", "caption": "x", "captions": ["y"]}', "entry 1 has captions and caption")
    says('{"image": 7, "split": "train", "caption": "x"}', r"at \[0\].image: a text or null is due, not 7")
    says('{"image": "a", "split": 3, "caption": "x"}', r"at \[0\].split: a text is due, not 3")


@pytest.mark.parametrize("end", ["\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\r"])
def test_a_caption_keeps_its_line_in_a_token_file(tmp_path, end):
    """Whatever ends a line for others: str.splitlines, Java, old Macs."""
    path = tmp_path / "x.token.txt"
    path.write_bytes(f"1.jpg#0\tA{end}dog .\r\n1.jpg#1\tIt runs .\n2.jpg#0\tA cat .\n".encode())
    captions = flickr30k.read_tokens(path)
    assert {image: [caption.split() for caption in texts] for image, texts in captions.items()} == {
        "1.jpg": [["A", "dog", "."], ["It", "runs", "."]],
        "2.jpg": [["A", "cat", "."]],
    }


def test_lines_that_are_none_are_told(tmp_path):
    (tmp_path / "x.txt").write_bytes(b"\xef\xbb\xbfone\r\rtwo\r")
    with pytest.raises(DataError, match="carriage returns alone"):
        lines(tmp_path / "x.txt")
    with pytest.raises(DataError, match="no such file"):
        lines(tmp_path / "none.txt")
    (tmp_path / "x.txt").write_bytes("one\n".encode("utf-16"))
    with pytest.raises(DataError, match="UTF-16"):
        lines(tmp_path / "x.txt")


@pytest.mark.parametrize(
    "text, said",
    [
        ("", ": an empty file"),
        ("\ufeff \n", ": an empty file"),
        ("1.jpg#0\tA dog .", r": cannot be read as JSON \(Extra data"),  # a list of what would mend nothing
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", ": a pointer of Git LFS"),
        ('{"images": [{"id": 1, "id": 2}]}', ": an object has two values of 'id', 1 and 2"),
    ],
)
def test_what_is_no_json(tmp_path, text, said):
    path = tmp_path / "x.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=f"^{path}{said}"):
        read_json(path, object, DataError)


def test_keys_of_images():
    assert image_key("Nguye\u0302\u0303n.jpg") == image_key("Nguy\u1ec5n.jpg") == "Nguy\u1ec5n.jpg"
    assert [image_key(value) for value in (1, "1", "0001", " 1 ", "a.jpg", "1.0", "-1", "²")] == [
        1,
        1,
        1,
        1,
        "a.jpg",
        "1.0",
        "-1",
        "²",
    ]
    assert image_key("") is None
