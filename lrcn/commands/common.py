"""What the commands share: kinds of arguments, progress, remarks, settings given as NAME=VALUE."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import click
from tqdm import tqdm

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)


class Progress:
    """Shows (what, done, total): a bar on a terminal, a line each tenth elsewhere."""

    def __init__(self):
        self.bar, self.what, self.tenth, self.begun = None, None, -1, 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        terminal = sys.stderr.isatty()
        if not total:  # a remark
            self.close()
            say(what)
            return
        if what != self.what:
            self.close()
            self.what, self.tenth, self.begun = what, -1, time.monotonic()
            self.bar = tqdm(desc=what, total=total, unit="", leave=True) if terminal else None
        if terminal:
            self.bar.total = total
            self.bar.update(done - self.bar.n)
        elif (tenth := 10 * done // max(total, 1)) > self.tenth:
            self.tenth = tenth
            print(f"{what}: {done}/{total} ({time.monotonic() - self.begun:.0f} s)", file=sys.stderr, flush=True)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
        self.bar = self.what = None


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def parse_changes(changes) -> dict:
    """{"units": 512} of ("units=512",): values are JSON where they are JSON, else words."""
    values = {}
    for change in changes:
        name, equals, text = change.partition("=")
        if not equals:
            raise click.UsageError(f"--set {change}: it takes NAME=VALUE, as units=512")
        try:
            values[name.strip().replace("-", "_")] = json.loads(text)
        except ValueError:
            values[name.strip().replace("-", "_")] = text
    return values
