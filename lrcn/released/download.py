"""Fetching a file by HTTP: resumed after a break, checked, and there whole or not at all.

What has come lies in PATH.part. PATH.part.json says where it came from and what the server calls that state of the file
(ETag or Last-Modified), so that what is fetched later is of the same file.
"""

from __future__ import annotations

import fcntl
import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeAlias, TypedDict

from data_prep import DataError
from data_prep.synced import put
from data_prep.whole_files import write_json, writing
from data_prep.workers import Counted
from readers.json_files import read_json

Report: TypeAlias = Callable[[str, int, int], None]  # (what, done, total); total 0: a remark

SECONDS = 60  # without a byte, after which a server counts as gone
PIECE = 1 << 20
WEB_PAGE = re.compile(rb"\s*(<\?xml.*?\?>\s*|<!--.*?-->\s*)*<(!doctype html|html|head|body|script)\b", re.I | re.S)
MIRROR = "--from URL takes another address of it"


def fetch(url: str, path: Path, size: int | None, check: Callable[[Path], None], report: Report) -> None:
    """Fetches `url` to `path`. size: as published, in bytes; check: called with what was fetched, raises DataError
    where that is not what it should be; it is then removed.

    Raises DataError, one line, for an address that gives no such file, a break, a full disk, another fetch of the same
    file. What had come by then is kept for the next call.
    """
    if not re.match("https?://", url, re.I):
        raise DataError(f"{url}: no address that begins with http:// or https://; a file of yours is put at {path}")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    part, note = path.with_name(path.name + ".part"), path.with_name(path.name + ".part.json")
    begun = part.stat().st_size if part.exists() else 0
    if begun and begun != size and not note.exists():
        raise DataError(f"{part}: was not begun by this command; move it elsewhere, or to {path.name} if it is whole")
    with _held(part) as file:
        _receive(url, file, note, size, path, report)
        try:
            check(part)
        except DataError:
            if note.exists():  # else it is somebody's who has put it there
                part.unlink()
                note.unlink()
            raise
        with writing(path):
            put(part, path)
            note.unlink(missing_ok=True)


@contextmanager
def _held(part: Path) -> Iterator[IO[bytes]]:
    """The file of what has come, kept from other fetches."""
    with writing(part):
        file = open(os.open(part, os.O_RDWR | os.O_CREAT, 0o666), "r+b", buffering=0)
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = part.exists() and os.path.samestat(os.fstat(file.fileno()), part.stat())
        except OSError:
            mine = False
        if not mine:
            raise DataError(f"{part}: another call is fetching it, or just has; wait for that one to end")
        try:
            yield file
        finally:
            if not os.fstat(file.fileno()).st_size:
                part.unlink(missing_ok=True)


def _receive(url: str, file: IO[bytes], note: Path, size: int | None, path: Path, report: Report) -> None:
    """Fills `file` up to its end."""
    begun = file.seek(0, os.SEEK_END)
    if begun and begun == size:
        return
    state = _state(note, url)
    if begun and (size is not None and begun > size or size is None and not state):
        begun = 0  # of another file, or nothing would tell whether it is
    answer, at, total = _ask(url, begun, state)
    if answer is None:
        return
    with answer:
        head = b"" if at else _read(answer.read, 1024, url, at, total)
        if at == 0 and (answer.headers.get_content_type() == "text/html" or WEB_PAGE.match(head)):
            raise DataError(
                f"{url}: sends a web page, not the file (a login, a notice or a page to download from); fetch it by "
                f"browser and put it at {path}, or {MIRROR}"
            )
        if size is not None and total not in (None, size):
            raise DataError(f"{url}: sends {total:,} bytes, where {size:,} were published; {MIRROR}")
        if begun and not at:
            report("the server sends it from its beginning", 0, 0)
        with writing(path):
            file.truncate(at)
            file.seek(at)
        headers = answer.headers
        write_json(note, {"url": url, "state": _strong(headers.get("ETag")) or headers.get("Last-Modified")})
        _copy(answer, head, file, (at, total if total is not None else size), url, path, report)


def _ask(url: str, begun: int, state: str | None) -> tuple[Any, int, int | None]:
    """The server's answer, from which byte on it sends, and how many the whole has (None: it does not say). The answer
    is None where it has nothing to send any more."""
    if begun:
        answer = _open(url, {"Range": f"bytes={begun}-"} | ({"If-Range": state} if state else {}))
        span = re.fullmatch(r"bytes\s+(?:(\d+)-\d+|\*)/(\d+|\*)", answer.headers.get("Content-Range", "").strip())
        total = int(span[2]) if span and span[2] != "*" else None
        if answer.status == 206 and span and span[1] == str(begun):
            return answer, begun, total
        if answer.status == 416 and total == begun:
            answer.close()
            return None, begun, total
        if answer.status == 200:
            return answer, 0, _length(answer)
        answer.close()  # it sends something else than was asked for
    answer = _open(url, {})
    if answer.status != 200:
        answer.close()
        raise DataError(f"{url}: answers {answer.status} {answer.reason}, and sends no file; {MIRROR}")
    return answer, 0, _length(answer)


def _open(url: str, headers: dict[str, str]) -> Any:
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "lrcn", **headers})
        return urllib.request.build_opener().open(request, timeout=SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == 416 and headers:
            return error
        error.close()
        raise DataError(f"{url}: answers {error.code} {_one_line(error.reason)}; {MIRROR}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DataError(f"{url}: cannot be reached{_proxy(url)} ({_reason(error)}); {MIRROR}") from None


def _copy(
    answer: Any, head: bytes, file: IO[bytes], span: tuple[int, int | None], url: str, path: Path, report: Report
) -> None:
    """The rest of the answer, after its `head`. span: from which byte on it is, and the number of the whole."""
    (at, total), mebibyte = span, 1 << 20
    piece: bytes | None = head
    while piece is not None:
        with writing(path):
            rest = memoryview(piece)
            while rest:
                rest = rest[file.write(rest) :]
        at += len(piece)
        if total is not None:
            report(Counted(path.stem, "MiB"), at // mebibyte, max(1, total // mebibyte))
            if at > total:
                raise DataError(f"{url}: sends more than {total:,} bytes; {MIRROR}")
        piece = _read(answer.read1, PIECE, url, at, total) or None
    if total is not None and at < total:
        raise _broken(url, at, total, "the connection ended")


def _read(read: Callable[[int], bytes], count: int, url: str, at: int, total: int | None) -> bytes:
    try:
        return read(count)
    except (OSError, http.client.HTTPException) as error:
        raise _broken(url, at, total, _reason(error)) from None


def _broken(url: str, at: int, total: int | None, why: str) -> DataError:
    of = "" if total is None else f" of {total:,}"
    return DataError(f"{url}: broke off after {at:,}{of} bytes ({why}); the same command goes on from there")


class _Note(TypedDict):
    """Beside a file that was begun."""

    url: str
    state: str | None


def _state(note: Path, url: str) -> str | None:
    """What the server called the state of the file that was begun, where that was at this address."""
    try:
        content = read_json(note, _Note, DataError)
    except DataError:  # it is begun anew
        return None
    return content["state"] if content["url"] == url else None


def _strong(etag: str | None) -> str | None:
    return None if etag is None or etag.startswith("W/") else etag  # a weak one names no bytes


def _length(answer: Any) -> int | None:
    length = answer.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    return _one_line(getattr(reason, "strerror", None) or str(reason) or type(reason).__name__)


def _one_line(text: object) -> str:
    return " ".join(str(text).split())


def _proxy(url: str) -> str:
    """The proxy that the environment names for an address, without the password that may stand in it."""
    scheme, host = url.split(":")[0].lower(), url.split("/")[2]
    proxy = urllib.request.getproxies().get(scheme)
    if not proxy or urllib.request.proxy_bypass(host):
        return ""
    return f" through the proxy {proxy.rsplit('@', 1)[-1].removeprefix('http://')} of {scheme}_proxy"
