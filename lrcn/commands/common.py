"""What the commands share: kinds of arguments, progress, remarks, settings given as NAME=VALUE."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from lrcn.commands import completion
from lrcn.commands.help import COMPUTING, SETTINGS, Command, Option, option, section
from lrcn.commands.terminal import beneath, one_line
from lrcn.engine.container import BARS
from prototxt_gen import SpecError
from readers.json_files import parse_json

FILLED = ("out", "tensorboard")  # parameters that name what a command writes
FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)


def check_apart(written: Path | None, *read: Path | None) -> None:
    """UsageError where the file that a command writes is one that it reads."""
    for path in read:
        if written and path and written.is_file() and path.exists() and written.samefile(path):
            raise click.UsageError(f"{written}: is a file that this command reads; name another one to write")


class WeightsFile(click.Path):
    """A .caffemodel, or the name of released weights that were fetched."""

    name = "weights"

    def __init__(self):
        super().__init__(path_type=Path)

    def convert(self, value, param, ctx):
        from lrcn.released.weights import weights_file

        return super().convert(weights_file(value), param, ctx)

    def get_metavar(self, param, ctx=None):
        return "FILE|NAME"

    def shell_complete(self, ctx, param, incomplete):
        return completion.weights(ctx, param, incomplete)


WEIGHTS = WeightsFile()


class Contained(Command):
    """A command that `--engine docker` runs in a container, as it was typed; what it is told of --engine, the command
    itself does not hear.

    It reads the paths among its arguments, those of FILLED aside. mounts: called with its parameters, gives what else
    it reads, and what it fills, as two lists of paths; --out by default.
    """

    def __init__(self, *arguments, mounts=None, **settings):
        super().__init__(*arguments, **settings)
        self.mounts = mounts or (lambda options: ([], [options["out"]] if options.get("out") else []))
        self.params += [
            Option(
                ["--engine"],
                section=COMPUTING,
                type=click.Choice(["local", "docker"]),
                default="local",
                help="Use the Caffe of this machine, or one in a container of Docker or Podman.",
            ),
            Option(
                ["--image"],
                section=COMPUTING,
                show_default="lrcn:cpu, with --gpu lrcn:cuda",
                help="With --engine docker: the image.",
            ),
        ]

    def parse_args(self, ctx, args):
        ctx.meta["lrcn.arguments"] = [ctx.info_name, *args]
        if not ctx.resilient_parsing:
            _, _, typed = self.make_parser(ctx).parse_args(list(args))
            for param in typed:  # Click would hear the last alone
                if isinstance(param.type, click.Path) and typed.count(param) > 1 and not param.multiple:
                    raise click.UsageError(f"{param.opts[0]}: takes one path, and is given more than once; name one")
        return super().parse_args(ctx, args)

    def invoke(self, ctx):
        from lrcn.engine import container

        engine, image = ctx.params.pop("engine"), ctx.params.pop("image")
        if image and engine != "docker":
            raise click.UsageError(f"--image {image}: is for --engine docker; give both")
        if engine == "local" or container.inside():
            return super().invoke(ctx)
        reads = []
        for param in self.params:
            if isinstance(param.type, click.Path) and param.name not in FILLED and (value := ctx.params[param.name]):
                reads += value if isinstance(value, tuple) else [value]
        others, writes = self.mounts(ctx.params)
        ctx.exit(container.run(ctx.meta["lrcn.arguments"], [*reads, *others], writes, image, ctx.params["gpu"]))


class Progress:
    """Shows (what, done, total): how far it is, what was measured, how fast it goes and the time left, in a bar on a
    terminal, in a line each tenth, and every five minutes, elsewhere; of several at a time a bar, or lines, each.
    (remark, 0, 0) is a line in between.
    """

    def __init__(self):
        self.each: dict[str, _Shown] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        if not total:  # a remark
            from tqdm import tqdm

            tqdm.write(one_line(what), file=beneath(sys.stderr))  # whose bars it takes away for a moment
            beneath(sys.stderr).flush()
            return
        now, shown = time.monotonic(), self.each.get(what)
        if shown is None or (shown.over and done < total):
            shown = self.each[what] = _Shown(what, done, total, now)
        if not shown.over:
            shown.tell(what, done, total, now)
            if done >= total:
                shown.close()

    def close(self) -> None:
        for shown in self.each.values():
            shown.close()
        self.each.clear()


class _Shown:
    """One thing that is counted: its bar, or lines."""

    def __init__(self, what: str, done: int, total: int, now: float):
        self.tenth, self.begun, self.told, self.first, self.over = -1, now, now, done, False
        terminal = sys.stderr.isatty() or BARS in os.environ  # the caller's, where this is a container
        self.bar = _bar(done, total) if terminal else None

    def tell(self, what: str, done: int, total: int, now: float) -> None:
        parts = progress_in_words(what, (self.first, done, total), now - self.begun)
        if self.bar is not None:
            self.bar.total = total
            columns = int(os.environ.get(BARS, 0)) or shutil.get_terminal_size().columns
            self.bar.set_description_str(beside_bar(parts, columns), refresh=False)
            self.bar.update(done - self.bar.n)
        elif (tenth := 10 * done // total) > self.tenth or now - self.told >= SECONDS_OF_SILENCE:
            self.tenth, self.told = tenth, now
            print(", ".join(parts.values()), file=sys.stderr, flush=True)

    def close(self) -> None:
        if self.bar is not None and not self.over:
            self.bar.refresh()
            self.bar.close()
        self.over = True


def _bar(done: int, total: int):
    from tqdm import tqdm

    return tqdm(desc="", total=total, initial=done, bar_format="{desc} |{bar}|", file=beneath(sys.stderr))


BAR_LETTERS = 5  # of a bar at least, with what encloses it
SECONDS_OF_SILENCE = 300  # at most, where there is no terminal


def progress_in_words(what: str, counts: tuple[int, int, int], seconds: float) -> dict[str, str]:
    """The parts of a line on progress: {"count": "lrcn-2f: iteration 400/1000", "loss": "loss 0.87", ...}. counts: the
    number at which it began, `seconds` ago, that of now, and that of the end."""
    from lrcn.results.tables import duration, value_in_words

    first, done, total = counts
    in_brackets = re.search(r" \((\w+)\)$", what)  # "wheels (MB)", as the engine's builders have it
    unit = getattr(what, "unit", "") or (in_brackets[1] if in_brackets else "")
    count, words = f"{done}/{total}", one_line(what)
    if not what.endswith((unit, f"({unit})")):  # "frames: 3/9" needs no "frame" again
        count = f"{unit[:-1]} {count}" if unit.endswith("s") else f"{count} {unit}"
    parts = {"count": f"{words}: {count}"}
    parts |= {name: f"{name} {value_in_words(name, value)}" for name, value in getattr(what, "measured", {}).items()}
    if done > first and seconds > 0:
        rate = (done - first) / seconds
        left = (total - done) / rate
        parts["rate"] = f"{rate:.{0 if rate >= 100 else 1 if rate >= 1 else 3}f} {unit}".rstrip() + "/s"
        if left >= 1 or done == total:
            parts["left"] = f"about {duration(left)} left" if left else f"{duration(seconds)} in all"
    return parts


def beside_bar(parts: dict[str, str], columns: int) -> str:
    """The parts beside a bar on a terminal; where it is too narrow for all, the rate is left out first, then what was
    measured, the last before the first."""
    text = ", ".join(parts.values())
    important = sorted(parts, key=lambda name: {"count": 0, "left": 1, "rate": 3}.get(name, 2))
    while len(text) + BAR_LETTERS > columns and important:
        text = ", ".join(words.removeprefix("about ") for name, words in parts.items() if name in important)
        important.pop()
    return text


def width() -> int | None:
    """How many letters a line of standard output takes: as COLUMNS says, or the terminal; None where it is none."""
    if os.environ.get("COLUMNS", "").isdigit() or sys.stdout.isatty():
        return shutil.get_terminal_size().columns
    return None


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def settings_options(command):
    """--set NAME=VALUE ... and --config FILE.toml; `read_settings` makes one dictionary of both."""
    return section(
        SETTINGS,
        option(
            "--set",
            "changes",
            multiple=True,
            shell_complete=completion.settings,
            metavar="NAME=VALUE...",
            help="Change settings of the nets, as --set units=512 videos=8; `lrcn nets list NET` shows them.",
        ),
        option(
            "--config", type=FILE, help="Read settings from a TOML file: for all nets, or in a table named as one net."
        ),
    )(command)


def lenient_option(command):
    """--lenient: for files of forks of Caffe."""
    return option(
        "--lenient", is_flag=True, help="Ignore fields and layer types that only forks of Caffe have, and name them."
    )(command)


def pass_over(lacking: Sequence[str], lenient: bool) -> None:
    """Name what Caffe's schema lacks of a file; SpecError unless --lenient asks to pass over it."""
    if lacking and not lenient:
        raise SpecError(f"{lacking[0]} (--lenient ignores what only forks of Caffe have)")
    for line in lacking:
        say(f"passed over: {one_line(line)}")


def read_settings(changes: Sequence[str], config: Path | None) -> dict[str, Any]:
    """{"units": 512, "activity/lrcn-fc6-rgb": {"videos": 8}} of a TOML file with ("units=512",) over it.

    Values on the command line are JSON where they are JSON, else words. What is wrong with a name of the file is said
    with the file, whoever finds it.
    """
    values: dict[str, Any] = {} if config is None else _read_config(config)
    for change in changes:
        name, equals, text = change.partition("=")
        if not equals:
            raise click.UsageError(f"--set {change}: it takes NAME=VALUE, as units=512")
        name = name.strip().replace("-", "_")
        values.pop(name, None)  # the name too, which would speak of the file
        try:
            values[name] = parse_json(text, f"--set {name}", object, SpecError)
        except SpecError:
            values[name] = text
    return values


def _read_config(config: Path) -> dict[str, Any]:
    from netspecs.variant import NameFromFile
    from readers.toml_files import read_toml

    values = read_toml(config, dict[str, Any], SpecError)

    def named(table):
        return {NameFromFile(name, str(config)): value for name, value in table.items()}

    return {name: named(value) if isinstance(value, dict) else value for name, value in named(values).items()}


def run_or_file(run: Path | None, needed: dict[str, Any], beside: dict[str, Any], of_run: dict[str, Any]) -> bool:
    """Whether a command takes its net from --run, and not from a file of weights with what else is `needed`. UsageError
    where it is neither, or both. beside: options that go with a file; of_run: with a run. Values by option."""
    if run is not None:
        if others := [option for option, value in (needed | beside).items() if value]:
            raise click.UsageError(f"--run: holds net, weights and settings; leave {_listed(others)} out")
        return True
    if lacking := [option for option, value in needed.items() if not value]:
        raise click.UsageError(f"{_listed(lacking)} missing: give --run DIR, a trained run, or {_listed(needed)}")
    if others := [option for option, value in of_run.items() if value]:
        raise click.UsageError(f"{_listed(others)}: names a net of --run; give --run")
    return False


def _listed(options) -> str:
    """ "--a, --b and --c"."""
    *first, last = options
    return f"{', '.join(first)} and {last}" if first else last
