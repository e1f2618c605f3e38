"""What the commands share: kinds of arguments, progress, remarks, settings given as NAME=VALUE."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)


class Progress:
    """Shows (what, done, total), with an estimate of the time left: a bar on a terminal, a line each tenth elsewhere.
    (remark, 0, 0) is a line in between.
    """

    def __init__(self):
        self.bar, self.what, self.tenth, self.begun, self.first = None, None, -1, 0.0, 0

    def __call__(self, what: str, done: int, total: int) -> None:
        terminal = sys.stderr.isatty()
        if not total:  # a remark
            self.close()
            say(what)
            return
        if what != self.what:
            self.close()
            self.what, self.tenth, self.begun, self.first = what, -1, time.monotonic(), done
            self.bar = tqdm(desc=what, total=total, initial=done, unit="", leave=True) if terminal else None
        if terminal:
            self.bar.total = total
            self.bar.update(done - self.bar.n)
        elif (tenth := 10 * done // total) > self.tenth:
            self.tenth, spent = tenth, time.monotonic() - self.begun
            left = spent / (done - self.first) * (total - done) if self.first < done < total else 0
            estimate = f", about {left:.0f} s left" if left >= 1 else ""
            print(f"{what}: {done}/{total} ({spent:.0f} s{estimate})", file=sys.stderr, flush=True)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
        self.bar = self.what = None


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def settings_options(command):
    """--set NAME=VALUE ... and --config FILE.toml; `read_settings` makes one dictionary of both."""
    command = click.option("--config", type=FILE, help="Settings in a TOML file, for all nets or in a table for one.")(
        command)
    return click.option("--set", "changes", multiple=True, metavar="NAME=VALUE...",
                        help="Set any number of the paper otherwise: --set units=512 videos=8.")(command)


def read_settings(changes: Sequence[str], config: Path | None) -> dict[str, Any]:
    """{"units": 512, "activity/lrcn-fc6-rgb": {"videos": 8}} of a TOML file with ("units=512",) over it.

    Values on the command line are JSON where they are JSON, else words.
    """
    values = {}
    if config is not None:
        try:
            values = tomllib.loads(config.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise click.UsageError(f"{config}: not TOML: {error}") from None
    for change in changes:
        name, equals, text = change.partition("=")
        if not equals:
            raise click.UsageError(f"--set {change}: it takes NAME=VALUE, as units=512")
        try:
            values[name.strip().replace("-", "_")] = json.loads(text)
        except ValueError:
            values[name.strip().replace("-", "_")] = text
    return values
