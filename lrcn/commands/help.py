"""How a command explains itself: its purpose in a line, options under titles, examples at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import click

Decorated = TypeVar("Decorated", bound=Callable[..., Any])
COMPUTING = "Where to compute"  # titles that several commands have
SETTINGS = "Settings"
METAVARS = {
    "integer": "N",
    "integer range": "N",
    "float": "X",
    "float range": "X",
    "text": "NAME",
    "path": "PATH",
    "file": "FILE",
    "directory": "DIR",
}


class Example(NamedTuple):
    """A command as it may be typed, and what it is for. A line break in it has a backslash before it."""

    purpose: str
    line: str


class Option(click.Option):
    """An option that says its default, and stands under the title of its section."""

    def __init__(self, *arguments: Any, section: str = "Options", **settings: Any):
        super().__init__(*arguments, **{"show_default": True, **settings})
        self.section = section

    def make_metavar(self, ctx: click.Context) -> str:
        own = self.metavar or self.type.get_metavar(self, ctx)
        return own or METAVARS.get(self.type.name) or super().make_metavar(ctx)

    def get_help_extra(self, ctx: click.Context) -> Any:
        extra = super().get_help_extra(ctx)
        extra.pop("range", None)  # what is out of it is told when it is given
        if isinstance(self.show_default, str):
            extra["default"] = self.show_default  # without Click's brackets
        return extra


def option(*names: str, **settings: Any) -> Callable[[Decorated], Decorated]:
    """`click.option` with an `Option`."""
    return click.option(*names, cls=Option, **settings)


def section(title: str, *options: Callable[[Any], Any]) -> Callable[[Decorated], Decorated]:
    """Options that stand under a title of their own."""

    def decorate(command: Decorated) -> Decorated:
        params = command.__dict__.setdefault("__click_params__", [])
        before = len(params)
        for each in reversed(options):
            each(command)
        for param in params[before:]:
            param.section = title
        return command

    return decorate


class _Formatter(click.HelpFormatter):
    """Breaks no line at a hyphen: names of options, nets and files stay whole."""

    WHOLE = "\u2011"  # a hyphen at which no line is broken

    def write_text(self, text: str) -> None:
        super().write_text(text.replace("-", self.WHOLE))

    def write_dl(self, rows: Iterable[tuple[str, str]], *layout: Any, **settings: Any) -> None:
        super().write_dl([(name, text.replace("-", self.WHOLE)) for name, text in rows], *layout, **settings)

    def getvalue(self) -> str:
        return super().getvalue().replace(self.WHOLE, "-")


class _Context(click.Context):
    formatter_class = _Formatter


class _WithExamples(click.Command):
    context_class = _Context

    def __init__(self, *arguments: Any, examples: Sequence[tuple[str, str]] = (), **settings: Any):
        super().__init__(*arguments, **settings)
        self.examples = [Example(*each) for each in examples]

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"  {example.purpose}:\n")
                    formatter.write("".join(f"    {line}\n" for line in example.line.splitlines()))


class Command(_WithExamples):
    """A command whose options stand in sections, in the order in which they come first."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if isinstance(param, click.Option) and record:
                sections.setdefault(getattr(param, "section", "Options"), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


class Group(_WithExamples, click.Group):
    """A group of such commands."""

    command_class = Command
