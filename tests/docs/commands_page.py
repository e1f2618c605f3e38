"""docs/commands.md, written from the commands themselves: `python -m tests.docs.commands_page`."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator

import click

from lrcn.cli import SECTIONS, cli
from lrcn.commands.rating_sheet import NAME, rating_sheet
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "commands.md"
ABOUT = """\
# Commands

Every command of `lrcn`, with its options and examples. It is what `--help` says of each, on one page. How to
set lrcn up and call it is in the [README](../README.md).

<!-- Written by `python -m tests.docs.commands_page`: change the texts in lrcn/commands/, then run it. -->
"""


def page() -> str:
    """The page as it should be."""
    every = dict(commands(cli, click.Context(cli, info_name="lrcn")))
    parts = [ABOUT]
    for title, names in SECTIONS.items():
        rows = [
            f"- [`{name}`](#{anchor(name)}): {command.help.partition(chr(10))[0]}"
            for name, (command, _) in every.items()
            if name.split()[1] in names
        ]
        parts.append(f"**{title}**\n\n" + "\n".join(rows) + "\n")
    parts += [section(name, *every[name]) for name in every]
    return "\n".join(parts)


def commands(group: click.Group, context: click.Context) -> Iterator[tuple[str, tuple[click.Command, click.Context]]]:
    """(what is typed, (the command, a context of it)) of all that can be called, in the order of the help."""
    names = [name for names in SECTIONS.values() for name in names] if group is cli else group.list_commands(context)
    for name in names:
        command = group.get_command(context, name)
        assert command is not None, name
        inner = click.Context(command, info_name=name, parent=context)
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield inner.command_path, (command, inner)
        if isinstance(command, click.Group):
            yield from commands(command, inner)
        if name == "evaluate":
            inner = click.Context(rating_sheet, info_name=f"{name} {NAME}", parent=context)
            yield inner.command_path, (rating_sheet, inner)


def section(name: str, command: click.Command, context: click.Context) -> str:
    """What the page says of a command."""
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    text = linked(inspect.cleandoc(command.help or ""))
    parts = [f"## {name}", *(filled(each) for each in text.split("\n\n")), f"```text\n{usage}\n```"]
    for title, options in by_section(command, context).items():
        parts += [f"**{title}**", "\n".join(line(option, context) for option in options)]
    examples = [f"# {each.purpose}\n{each.line}" for each in command.examples]  # type: ignore[attr-defined]
    return "\n\n".join([*parts, "**Examples**", "```text\n" + "\n\n".join(examples) + "\n```"]) + "\n"


def by_section(command: click.Command, context: click.Context) -> dict[str, list[click.Option]]:
    """The options under the titles of the help, without --help."""
    sections: dict[str, list[click.Option]] = {}
    for param in command.get_params(context):
        if isinstance(param, click.Option) and "--help" not in param.opts:
            sections.setdefault(getattr(param, "section", "Options"), []).append(param)
    return sections


def line(option: click.Option, context: click.Context) -> str:
    """An option, in a list."""
    record = option.get_help_record(context)
    assert record, option
    typed, text = record
    text = re.sub(r"  \[default: (.*)\]$", r" Default: \1.", text).replace("  [required]", " Required.")
    return filled(f"- `{typed}`: {linked(text)}", "  ")


def linked(text: str) -> str:
    """The text as Markdown: pages as links; outside of code, no asterisk that would make what follows slanted."""
    parts = text.split("`")
    prose = [re.sub(r"docs/([\w-]+\.md)", r"[\1](\1)", part.replace("*", r"\*")) for part in parts[::2]]
    parts[::2] = prose
    return "`".join(parts)


def filled(text: str, indent: str = "") -> str:
    return textwrap.fill(text, 110, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)


def anchor(name: str) -> str:
    return name.replace("/", "").replace(" ", "-")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
