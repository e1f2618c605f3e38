"""What `--help` says: a purpose in a line, options in plain words, examples that can be typed."""

import re
import shlex

import click
import pytest
from click.testing import CliRunner

from lrcn.cli import cli, spread_settings
from lrcn.commands import common
from lrcn.commands.rating_sheet import NAME, rating_sheet
from lrcn.training import experiment
from netspecs import catalogue

COLUMNS = 80
ANOTHER = {"caption/results", NAME}  # experiments of `lrcn evaluate` alone


def commands(group=cli, path=()):
    """Every group and command, as {the words that call it: the command}."""
    found = {path: group}
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        found |= commands(command, (*path, name)) if isinstance(command, click.Group) else {(*path, name): command}
    return found


EVERY = commands() | {("evaluate", NAME): rating_sheet}
each = pytest.mark.parametrize("path", EVERY, ids=lambda path: " ".join(path) or "lrcn")


def said(*words):
    done = CliRunner(env={"COLUMNS": str(COLUMNS)}).invoke(cli, [*words, "--help"], prog_name="lrcn")
    assert done.exit_code == 0, done.output
    return done.output


def typed():
    """Every command line of every example, in words."""
    for path, command in EVERY.items():
        for example in command.examples:
            for line in example.line.replace("\\\n", "").splitlines():
                yield pytest.param(path, shlex.split(line.partition(" >")[0]), id=line)


lines = pytest.mark.parametrize(("path", "words"), [*typed()])


@pytest.mark.parametrize("path", [path for path, command in EVERY.items() if isinstance(command, click.Group)], ids=str)
def test_a_group_shows_the_purpose_of_each_command_whole(path):
    text = said(*path)
    names = EVERY[path].list_commands(click.Context(EVERY[path]))
    assert names and "..." not in text.replace("[ARGS]...", "")
    for name in names:
        [purpose] = re.findall(rf"^  {name}  +(.*)$", text, re.M)
        first = EVERY[(*path, name)].help.partition("\n")[0]
        assert purpose == first and re.fullmatch(r"[A-Z][^.].*[^.]\.", first.replace(".caffemodel", "")), first


@each
def test_help_fits_and_ends_with_examples(path):
    text = said(*path)
    assert max(map(len, text.splitlines())) <= COLUMNS
    first = EVERY[path].help.partition("\n")[0]
    assert first.endswith(".") and text.splitlines()[2] == f"  {first}"
    examples = text.partition("\nExamples:\n")[2]
    assert examples.count("\n    lrcn ") >= len(EVERY[path].examples) > 0
    assert all(re.fullmatch(r"[A-Z].*\w", example.purpose) for example in EVERY[path].examples)
    named = re.findall(r"docs/[\w-]*", text)
    assert all(re.search(rf"{name}\.md\b", text) for name in named), "broken over two lines"


@each
def test_every_option_has_a_text_and_a_section(path):
    context = click.Context(EVERY[path])
    options = [param for param in EVERY[path].get_params(context) if isinstance(param, click.Option)]
    shown = re.split(r"\n(?=[A-Z].*:\n)", said(*path), maxsplit=1)[1]
    for option in options:
        assert re.match(r"[A-Z].*\.$", option.help or "", re.S), option
        assert len(re.findall(rf"^  (-\w, )?{option.opts[-1]}\b(?!-)", shown, re.M)) == 1, option
    assert not re.search(r"RANGE|INTEGER|DIRECTORY|x>=", shown)


@lines
def test_examples_are_of_their_command_and_can_be_typed(path, words, monkeypatch):
    monkeypatch.setattr(click.Path, "convert", lambda self, value, param, ctx: self.coerce_path_result(value))
    monkeypatch.setattr(common.WeightsFile, "convert", lambda self, value, param, ctx: value)
    program, *arguments = words
    assert program == "lrcn"
    context, command = cli.make_context("lrcn", ["--help"], resilient_parsing=True), cli
    arguments = spread_settings(arguments)
    called = []
    while isinstance(command, click.Group) and arguments:
        name, command, arguments = command.resolve_command(context, arguments)
        called += name.split()
    command.make_context(name, arguments, parent=context)
    assert path == tuple(called[: len(path)]) or path == ("prepare", "ucf101") or path == ("prepare", "features")


@lines
def test_examples_name_nets_and_settings_that_there_are(path, words):
    names = {*catalogue.names(), *experiment.names(), *ANOTHER}
    named = [word for word in words if re.match(r"(activity|caption|lm|video)/", word)]
    assert names.issuperset(named)
    settings = [after for word, after in zip(words, words[1:]) if word == "--set"]
    for name, _, value in (setting.partition("=") for setting in settings):
        [net] = named
        assert str(catalogue.get(net).settings(**{name: value if value.isalpha() else int(value)})[name]) == value
