"""Fetching by HTTP, from a server that breaks off, ignores Range, lies about lengths, sends pages."""

import errno
import json
import random

import pytest

from data_prep import DataError
from lrcn.released import download
from lrcn.released.download import fetch
from tests.lrcn.released.server import serving

CONTENT = random.Random(0).randbytes(3_000_000)


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with serving(CONTENT) as server:
        yield server


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights" / "net.caffemodel"


def get(url, path, size=None, check=lambda part: None):
    reports = []
    fetch(url, path, size, check, lambda *report: reports.append(report))
    return reports


def refused(url, path, *words, **options):
    """DataError with these words, on one line; nothing is at `path`."""
    with pytest.raises(DataError) as caught:
        get(url, path, **options)
    assert not path.exists() and "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def part(path):
    return path.with_name(path.name + ".part")


def broken_off(server, path, at=1_234_567, **options):
    """A first call that the server breaks off after so many bytes."""
    server.cut = at
    refused(server.url, path, f"broke off after {at:,} of 3,000,000 bytes", **options)
    server.cut = None
    assert part(path).read_bytes() == CONTENT[:at]
    server.asked.clear()


def ranges(server):
    return [asked.get("Range") for asked in server.asked]


def test_a_file_is_there_whole_and_nothing_beside_it(server, path):
    reports = get(server.url, path)
    assert path.read_bytes() == CONTENT
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert reports[-1] == ("net", 2, 2) and reports[-1][0].unit == "MiB"


def test_after_a_break_the_rest_is_fetched(server, path):
    broken_off(server, path)
    get(server.url, path)
    assert ranges(server) == ["bytes=1234567-"] and server.asked[0]["If-Range"] == '"one"'
    assert path.read_bytes() == CONTENT and [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_file_that_changed_meanwhile_is_fetched_anew(server, path):
    broken_off(server, path)
    server.etag, server.content = '"two"', CONTENT[::-1]
    get(server.url, path)
    assert path.read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("etag", ['W/"weak"', ""])
def test_what_nothing_tells_the_state_of_is_fetched_anew(server, path, etag):
    server.etag = etag
    broken_off(server, path)
    get(server.url, path)
    assert ranges(server) == [None] and path.read_bytes() == CONTENT


def test_a_server_that_ignores_range_starts_anew(server, path):
    server.ranges = False
    broken_off(server, path)
    assert ("the server sends it from its beginning", 0, 0) in get(server.url, path)
    assert ranges(server) == ["bytes=1234567-"] and path.read_bytes() == CONTENT


def test_a_published_size_lets_a_mirror_go_on_with_what_another_address_began(server, path):
    broken_off(server, path, size=len(CONTENT))
    get(server.url + "/mirror", path, size=len(CONTENT))
    assert ranges(server) == ["bytes=1234567-"] and path.read_bytes() == CONTENT


def test_without_a_published_size_another_address_starts_anew(server, path):
    broken_off(server, path)
    get(server.url + "/mirror", path)
    assert ranges(server) == [None] and path.read_bytes() == CONTENT


def test_a_whole_part_is_recognised_by_its_size_without_a_question(server, path):
    path.parent.mkdir()
    part(path).write_bytes(CONTENT)
    get(server.url, path, size=len(CONTENT))
    assert not server.asked and path.read_bytes() == CONTENT


def test_a_whole_part_is_recognised_by_416(server, path):
    path.parent.mkdir()
    part(path).write_bytes(CONTENT)
    part(path).with_name(part(path).name + ".json").write_text(json.dumps({"url": server.url, "state": '"one"'}))
    get(server.url, path)
    assert ranges(server) == ["bytes=3000000-"] and path.read_bytes() == CONTENT


@pytest.mark.parametrize("size", [None, len(CONTENT)])
def test_a_part_that_is_longer_than_the_file_starts_anew(server, path, size):
    path.parent.mkdir()
    part(path).write_bytes(b"x" * 3_000_001)
    part(path).with_name(part(path).name + ".json").write_text(json.dumps({"url": server.url, "state": '"one"'}))
    get(server.url, path, size=size)
    assert path.read_bytes() == CONTENT


def test_another_range_than_was_asked_for_is_not_taken(server, path):
    broken_off(server, path)
    server.answers["/file"] = (206, {"Content-Range": "bytes 0-99/3000000"}, CONTENT[:100])
    refused(server.url, path, "answers 206")
    assert part(path).read_bytes() == CONTENT[:1_234_567]
    server.answers.clear()
    get(server.url, path)
    assert path.read_bytes() == CONTENT


def test_a_length_that_is_too_long_is_a_break_and_without_one_the_end_is_the_end(server, path):
    server.length = "4000000"
    refused(server.url, path, "broke off after 3,000,000 of 4,000,000 bytes")
    server.length = ""
    part(path).unlink()
    get(server.url, path)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    "length, words", [("2000000", "sends 2,000,000 bytes, where 3,000,000 were published"), ("", "")]
)
def test_a_length_is_held_against_the_published_size(server, path, length, words):
    server.length, server.content = length, CONTENT[:2_000_000]
    refused(server.url, path, words or "broke off after 2,000,000 of 3,000,000", size=len(CONTENT))


def test_more_than_the_published_size_is_refused(server, path):
    server.length, server.content = "", CONTENT * 2
    refused(server.url, path, "sends more than 3,000,000 bytes", size=len(CONTENT))
    server.content = CONTENT
    get(server.url, path, size=len(CONTENT))
    assert path.read_bytes() == CONTENT


PAGES = [
    ("text/html; charset=utf-8", b"Log in"),
    ("application/octet-stream", b"\n\n  <!DOCTYPE html><html><title>Google Drive - Virus scan warning</title>"),
    ("", b"<HTML lang='en'><body>Dropbox"),
    ("text/plain", b'<?xml version="1.0"?>\n<!-- a page --><html xmlns="x">'),
]


@pytest.mark.parametrize("kind, page", PAGES)
def test_a_web_page_is_not_the_file_and_leaves_what_had_come(server, path, kind, page):
    refused_page = (200, {"Content-Type": kind}, page)
    server.answers["/file"] = refused_page
    refused(server.url, path, "sends a web page", str(path), "--from URL")
    server.answers.clear()
    broken_off(server, path)
    server.answers["/file"] = refused_page
    refused(server.url, path, "sends a web page")
    assert part(path).read_bytes() == CONTENT[:1_234_567]


@pytest.mark.parametrize("status, words", [(404, "answers 404 Not Found"), (403, "answers 403"), (500, "answers 500")])
def test_an_answer_without_the_file(server, path, status, words):
    server.answers["/file"] = (status, {}, b"<html>")
    refused(server.url, path, server.url, words, "--from URL")
    assert not list(path.parent.iterdir())


def test_redirects_are_followed_and_a_circle_of_them_is_one_line(server, path):
    server.answers["/old"] = (302, {"Location": "/file"}, b"")
    server.answers["/round"] = (302, {"Location": "/round"}, b"")
    base = server.url.removesuffix("/file")
    refused(f"{base}/round", path, "answers 302")
    broken_off(server, path)
    note = part(path).with_name(part(path).name + ".json")
    note.write_text(json.dumps({"url": f"{base}/old", "state": '"one"'}))
    get(f"{base}/old", path)
    assert ranges(server)[-1] == "bytes=1234567-" and path.read_bytes() == CONTENT


def test_no_server_and_a_proxy_that_is_none(server, path, monkeypatch):
    server.shutdown()
    server.server_close()
    refused(server.url, path, "cannot be reached (Connection refused)")
    monkeypatch.setenv("http_proxy", server.url.replace("http://", "http://me:secret@"))
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(DataError, match="through the proxy 127.0.0.1:.* of http_proxy") as caught:
        get("http://weights.invalid/file", path)
    assert "secret" not in str(caught.value)


def test_a_proxy_is_gone_through(server, path, monkeypatch):
    server.answers["http://weights.invalid/file"] = (200, {}, CONTENT)  # a proxy is asked for the whole address
    monkeypatch.setenv("http_proxy", server.url.removesuffix("/file"))
    monkeypatch.setenv("no_proxy", "")
    get("http://weights.invalid/file", path)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("url", ["http://", "http://[::1/file", "http://127.0.0.1:port/file", "http://127.0.0.1/a b"])
def test_an_address_that_is_none(path, url):
    refused(url, path, url)


@pytest.mark.parametrize("url", ["file:///etc/hostname", "net.caffemodel", "ftp://127.0.0.1/file"])
def test_an_address_of_another_kind(path, url):
    refused(url, path, "http://", str(path))
    assert not path.parent.exists()


def test_what_the_check_refuses_is_removed(server, path):
    def check(part):
        assert part.read_bytes() == CONTENT
        raise DataError("not it")

    refused(server.url, path, "not it", check=check)
    assert not list(path.parent.iterdir())


def test_one_fetch_at_a_time(server, path):
    def check(_):
        with pytest.raises(DataError, match="another call is fetching it"):
            get(server.url, path)

    get(server.url, path, check=check)
    assert path.read_bytes() == CONTENT


def test_ctrl_c_keeps_what_had_come(server, path):
    def interrupt(what, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(server.url, path, None, lambda part: None, interrupt)
    came = part(path).read_bytes()
    assert came and CONTENT.startswith(came) and not path.exists()
    server.asked.clear()
    get(server.url, path)
    assert ranges(server) == [f"bytes={len(came)}-"] and path.read_bytes() == CONTENT


def test_a_full_disk_is_one_line(server, path, monkeypatch):
    class Full:
        def __init__(self, file):
            self.file, self.left = file, 500_000

        def write(self, piece):
            if not self.left:
                raise OSError(errno.ENOSPC, "No space left on device")
            written = self.file.write(piece[: self.left])
            self.left -= written
            return written

        def __getattr__(self, name):
            return getattr(self.file, name)

    copy = download._copy
    monkeypatch.setattr(download, "_copy", lambda answer, head, file, *rest: copy(answer, head, Full(file), *rest))
    refused(server.url, path, "no space left")
    assert part(path).read_bytes() == CONTENT[:500_000]
    monkeypatch.undo()
    get(server.url, path)
    assert path.read_bytes() == CONTENT


def test_a_folder_that_cannot_be_made_is_one_line(server, tmp_path):
    (tmp_path / "file").write_text("")
    refused(server.url, tmp_path / "file" / "net.caffemodel", "cannot be written")


@pytest.mark.parametrize("known", [True, False])
def test_a_part_that_somebody_else_began_is_left(server, path, known):
    """As a browser does, under the same name."""
    path.parent.mkdir()
    part(path).write_bytes(CONTENT[:1000])
    size = len(CONTENT) if known else None
    refused(server.url, path, "net.caffemodel.part: was not begun by this command; move it elsewhere", size=size)
    assert part(path).read_bytes() == CONTENT[:1000] and not server.asked


def test_a_whole_part_of_somebody_elses_that_is_another_file_is_left(server, path):
    def check(file):
        raise DataError(f"{file}: has another checksum")

    path.parent.mkdir()
    part(path).write_bytes(b"x" * len(CONTENT))
    refused(server.url, path, "has another checksum", size=len(CONTENT), check=check)
    assert part(path).read_bytes() == b"x" * len(CONTENT)
