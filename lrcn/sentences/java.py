"""The Java programs of COCO's evaluation, METEOR 1.5 and the Penn Treebank's tokeniser, as pycocoevalcap brings them.

Started here and not by pycocoevalcap: in English, whatever the user's language is (else METEOR writes 0,5 and waits for
ever), without a file beside its own, and watched: one that ends, falls silent or says something else is a JavaError.
"""

from __future__ import annotations

import atexit
import math
import os
import queue
import re
import shutil
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from threading import Thread

MISSING = "it needs Java (`java` on PATH)"
SILENCE = 40  # seconds without a word after which Java is taken to hang; METEOR needs 5 to begin
COMPLAINTS, LONGEST = 100, 1 << 20  # lines of its errors that are kept, and bytes of a line
ENGLISH = [f"-Duser.{name}" for name in ("language=en", "language.format=en", "country=US", "country.format=US")]
OPTIONS = [*ENGLISH, "-Dfile.encoding=UTF-8", "-XX:+DisplayVMOutputToStderr"]
UNTOLD = ("Picked up ", "Error occurred during initialization")  # lines of its errors that give no reason
# What ends a line for Java, for its tokeniser, or for Python's str.splitlines; and what UTF-8 or a pipe cannot carry.
_LINE_ENDS = re.compile("[\0\n-\r\x1c-\x1e\x85\u2028\u2029\ud800-\udfff]")
_PUNCTUATION = {
    "''",
    "'",
    "``",
    "`",
    "-LRB-",
    "-RRB-",
    "-LCB-",
    "-RCB-",
    ".",
    "?",
    "!",
    ",",
    ":",
    "-",
    "--",
    "...",
    ";",
}


class JavaError(RuntimeError):
    """Why a Java program gave no answer; part of a line for the user."""


def java() -> bool:
    return shutil.which("java") is not None


def one_line(text: str) -> str:
    """The text with a blank for everything that might end a line, so that a line each stays a line each."""
    return _LINE_ENDS.sub(" ", text)


def treebank_tokens(texts: Sequence[str]) -> list[list[str]]:
    """The words of each text as COCO's evaluation has them: of the Penn Treebank, lower-cased, without punctuation.
    Raises JavaError."""
    from pycocoevalcap.tokenizer import ptbtokenizer

    if not texts:
        return []
    jar = Path(ptbtokenizer.__file__).parent / ptbtokenizer.STANFORD_CORENLP_3_4_1_JAR
    options = ["-preserveLines", "-lowerCase", "-encoding", "UTF-8"]
    with Program(["-cp", jar, "edu.stanford.nlp.process.PTBTokenizer", *options]) as program:
        lines = program.ask([one_line(text) for text in texts], len(texts), last=True)
    kept = (" ".join(word for word in line.split(" ") if word not in _PUNCTUATION) for line in lines)
    return [line.split() for line in kept]  # a token may hold a blank: 1 1/2


class Meteor:
    """METEOR for English. Its program takes seconds to start: one for all systems that are scored. Raises JavaError,
    the same again once it has failed."""

    @staticmethod
    @lru_cache(maxsize=1)
    def of_process() -> Meteor:
        """The one of this process, ended with it."""
        meteor = Meteor()
        atexit.register(meteor.close)
        return meteor

    def __init__(self) -> None:
        self._program: Program | None = None
        self._failure = ""

    def score(self, captions: Sequence[str], references: Sequence[Sequence[str]]) -> float:
        """METEOR of captions, words with blanks between, against the references of each."""
        if self._failure:
            raise JavaError(self._failure)
        try:
            return self._score(captions, references)
        except JavaError as error:
            self._failure = str(error)
            self.close()
            raise

    def _score(self, captions: Sequence[str], references: Sequence[Sequence[str]]) -> float:
        from pycocoevalcap.meteor import meteor

        if self._program is None:
            jar = Path(meteor.__file__).parent / meteor.METEOR_JAR
            self._program = Program(["-Xmx2G", "-jar", jar, "-", "-", "-stdio", "-l", "en", "-norm"])
        orders = [
            " ||| ".join(["SCORE", *map(_segment, truths), _segment(text)])
            for text, truths in zip(captions, references, strict=True)
        ]
        counts = self._program.ask(orders, len(orders))
        for line in counts:
            _numbers(line)
        scores = self._program.ask([" ||| ".join(["EVAL", *counts])], len(orders) + 1)
        return [_numbers(line) for line in scores][-1][0]  # of each caption, and last of all together

    def close(self) -> None:
        if self._program is not None:
            self._program.close()
            self._program = None


def _segment(text: str) -> str:
    """A caption as METEOR's protocol takes it: one line, without the mark that ends a segment."""
    return " ".join(one_line(text).replace("|||", " ").split())


def _numbers(line: str) -> list[float]:
    try:
        numbers = [float(number) for number in line.split()]
    except ValueError:
        numbers = []
    if not numbers or not all(map(math.isfinite, numbers)):
        raise JavaError(f"its Java program says {line[:60]!r} where numbers are due")
    return numbers


class Program:
    """A Java program that answers lines with lines. A context manager, which ends it. Raises JavaError."""

    def __init__(self, arguments: Sequence[str | Path]) -> None:
        if not java():
            raise JavaError(MISSING)
        environment = os.environ.copy()
        if "_JAVA_OPTIONS" in environment:  # Java puts these above its command line
            environment["_JAVA_OPTIONS"] = " ".join([environment["_JAVA_OPTIONS"], *OPTIONS])
        try:
            self._process = subprocess.Popen(
                ["java", *OPTIONS, *map(str, arguments)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                start_new_session=True,  # a group, ended as a whole: `java` may be a script that starts it
            )
        except OSError as error:
            raise JavaError(f"its Java program cannot be started ({error.strerror or error})") from None
        self._answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._complaints: list[str] = []
        _thread(self._listen)
        self._complaining = _thread(self._hear_complaints)

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def ask(self, lines: Sequence[str], answers: int, last: bool = False) -> list[str]:
        """So many lines of answer. last: nothing more is asked, and it must end well without another word, else the
        answers may be of other lines."""
        _thread(self._write, lines, last)  # not here: it may never read them
        answered = [self._answer() for _ in range(answers)]
        if last:
            if (more := self._next()) is not None:
                raise JavaError(f"its Java program says {more[:60]!r} beyond what it was asked")
            if self._status():
                raise self._ended()
        return answered

    def close(self) -> None:
        """Ends it, whatever it does."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        with suppress(OSError):
            self._process.stdin.close()

    def _answer(self) -> str:
        line = self._next()
        if line is None:
            raise self._ended()
        return line

    def _next(self) -> str | None:
        """The next line that it says; None where it is over."""
        try:
            line = self._answers.get(timeout=SILENCE)
        except queue.Empty:
            raise JavaError(f"its Java program says nothing for {SILENCE} s") from None
        if line is not None and len(line) >= LONGEST:
            raise JavaError(f"its Java program says {line[:60]!r} without an end")
        return line

    def _status(self) -> int:
        try:
            return self._process.wait(timeout=SILENCE)
        except subprocess.TimeoutExpired:
            raise JavaError("its Java program says no more and does not end") from None

    def _ended(self) -> JavaError:
        """Why it has ended."""
        status = self._status()
        self._complaining.join(1)  # a child of its may keep the pipe open
        why = next((line for line in self._complaints if line and not line.startswith(UNTOLD)), "")
        what = f"signal {-status}, as where memory is short" if status < 0 else f"status {status}"
        return JavaError(f"its Java program ended with {what}{f': {why[:200]}' if why else ''}")

    def _write(self, lines: Sequence[str], last: bool) -> None:
        with suppress(OSError, ValueError):  # that it is gone is noticed where its answer is missed
            self._process.stdin.write("".join(f"{line}\n" for line in lines).encode())
            self._process.stdin.flush()
            if last:
                self._process.stdin.close()

    def _listen(self) -> None:
        with self._process.stdout as stream:
            while line := stream.readline(LONGEST):
                self._answers.put(line.decode(errors="replace").rstrip("\r\n"))
        self._answers.put(None)

    def _hear_complaints(self) -> None:
        with self._process.stderr as stream:
            while line := stream.readline(LONGEST):
                if len(self._complaints) < COMPLAINTS:
                    self._complaints.append(line.decode(errors="replace").strip())


def _thread(work, *arguments) -> Thread:
    thread = Thread(target=work, args=arguments, daemon=True)
    thread.start()
    return thread
