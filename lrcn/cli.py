"""The command line `lrcn`: its commands, and how an error becomes one line."""

from __future__ import annotations

import errno
import os
import re
import sys
from importlib import import_module

import click

from data_prep import DataError
from lrcn import signals
from lrcn.commands import completion, terminal
from lrcn.commands.help import Group
from lrcn.engine import container
from readers.paths import checked

SECTIONS = {  # title in the help -> name -> the module of lrcn.commands that has it, under its name
    "Nets": {"nets": "nets", "weights": "released"},
    "Data": {"data": "released", "prepare": "prepare", "verify": "verify"},
    "Training": {"experiments": "experiments", "train": "train", "watch": "watch", "analyze": "analyze"},
    "Results": {"evaluate": "evaluate", "compare": "evaluate", "report": "report"},
    "Using trained nets": {"classify": "classify", "caption": "caption", "describe": "describe", "sample": "sample"},
    "This machine": {"caffe": "caffe", "bench": "bench"},
}
COMMANDS = {name: module for commands in SECTIONS.values() for name, module in commands.items()}


def main() -> None:
    """Exit codes: 0 done, 1 the honest answer is no, 2 bad usage or bad input; 130 interrupted, 143 terminated, 129
    hung up."""
    with terminal.escaping(), signals.ending_in_order():
        status, line = _run()
        if line:
            print(line, file=sys.stderr)
    sys.exit(status)


def _run() -> tuple[int, str]:
    """(exit code, what is to be told of the end)."""
    try:
        if container.inside():
            container.begin()
        status = cli.main(spread_settings(sys.argv[1:]), standalone_mode=False)
        signals.check()
        sys.stdout.flush()
        return status or 0, ""
    except (click.exceptions.Abort, KeyboardInterrupt):
        return signals.told()
    except click.exceptions.NoArgsIsHelpError as error:
        return 2, error.format_message()
    except click.ClickException as error:
        line = re.sub(r"\s*\n\s*", " ", error.format_message())  # of Click's own: choices, a line each
    except BrokenPipeError:
        terminal.nobody_reads()
        return 0, ""
    except OSError as error:
        line = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            line += "; see whose it is, or name another"
    except MemoryError as error:
        line = f"out of memory ({error or 'it does not say how much was asked for'}); give less, or more memory"
    except UnicodeEncodeError as error:  # in a name found in a folder
        name = error.object[: error.start].rpartition("\n")[2] + error.object[error.start :].partition("\n")[0]
        line = f"{name}: a name that is not UTF-8; rename it"
    except Exception as error:
        if not isinstance(error, _for_the_user()):
            raise
        line = str(error)
    return 2, f"lrcn: {terminal.one_line(line)}"


def _for_the_user() -> tuple[type[Exception], ...]:
    """The errors that are one line already. Their modules, some of which take long, are asked for where there is an
    error."""
    from lrcn.engine import EngineError
    from lrcn.engine.process import CaffeError
    from lrcn.results.compare import ResultsError
    from lrcn.training.run import TrainError
    from prototxt_gen import SpecError

    return DataError, SpecError, EngineError, CaffeError, TrainError, ResultsError


def spread_settings(arguments: list[str]) -> list[str]:
    """`--set units=512 videos=8`, or `--set=units=512 videos=8`, as click understands it: `--set` before each."""
    spread, setting = [], False
    for argument in arguments:
        if setting and spread[-1] != "--set" and "=" in argument and not argument.startswith("-"):
            spread.append("--set")
        spread.append(argument)
        setting = argument.split("=")[0] == "--set" or (setting and "=" in argument and not argument.startswith("-"))
    return spread


completion.turn_on(spread_settings)


class Commands(Group):
    """The modules of commands, imported as they are asked for."""

    def list_commands(self, ctx):
        return sorted(COMMANDS)

    def get_command(self, ctx, name):
        return getattr(import_module(f"lrcn.commands.{COMMANDS[name]}"), name) if name in COMMANDS else None

    def format_commands(self, ctx, formatter):
        longest = max(map(len, COMMANDS))
        for title, names in SECTIONS.items():
            with formatter.section(title):
                purposes = [self.get_command(ctx, name).get_short_help_str(formatter.width) for name in names]
                formatter.write_dl([(name.ljust(longest), purpose) for name, purpose in zip(names, purposes)])

    def resolve_command(self, ctx, args):
        if args[:1] == ["evaluate"]:
            from lrcn.commands import rating_sheet

            if args[1:2] == [rating_sheet.NAME]:  # it evaluates no experiment, so its options are others
                return " ".join(args[:2]), rating_sheet.rating_sheet, args[2:]
        return super().resolve_command(ctx, args)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    examples=[
        ("List the nets of the paper, and write one", "lrcn nets list\nlrcn nets write caption/lrcn-2f --out nets"),
        (
            "Make the demo's data, train on them, and compare the results with the paper",
            "lrcn prepare demo\nlrcn train demo\nlrcn evaluate demo\nlrcn compare",
        ),
    ],
)
@click.version_option(package_name="lrcn")
def cli():
    """LRCN in Caffe: write its nets, train them, compare them with the paper.

    Long-term Recurrent Convolutional Networks (Donahue et al., CVPR 2015) classify videos, and describe images and
    videos in sentences. `lrcn COMMAND --help` explains a command.
    """
    for path in sys.argv[1:]:  # and what is no path: names of nets and settings are UTF-8 too
        checked(path, DataError)
    try:
        checked(os.getcwd(), DataError, "the current folder, ")
    except FileNotFoundError:
        raise DataError("the current folder is gone; change to another") from None
