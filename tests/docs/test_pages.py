"""What pages say: that their links lead somewhere, that what they name is there, and that they can be read anywhere."""

import re
from functools import cache
from pathlib import Path

import click
import pytest

from lrcn.cli import COMMANDS, cli
from lrcn.commands.classify import classify
from lrcn.commands.evaluate import evaluate
from lrcn.training import experiment
from netspecs import catalogue
from tests.docs import pages, stand_ins
from tests.docs.pages import ROOT

every_page = pytest.mark.parametrize("page", pages.names())
LONGEST = 110


@every_page
def test_code_stands_in_fenced_blocks_that_say_how_they_are_run(page):
    for block in pages.blocks(page):
        if block.file:
            assert not Path(block.file).is_absolute() and ".." not in Path(block.file).parts, block.where
        else:
            assert block.language in (*pages.RUN, "text"), f"{block.where}: {block.language} without a file's name"
        assert set(block.on) <= set(stand_ins.ALL), block.where
        assert block.needs in (None, *pages.NEEDS), block.where
    before = ""
    for number, line in pages.prose(page):
        in_list = re.match(r"\s*([-*]|\d+\.) ", before) or before.startswith("  ")
        assert in_list or not line.startswith("    "), f"{page}:{number}: an indented block"
        before = line or before


@every_page
def test_links_lead_somewhere(page):
    for number, target in pages.links(page):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), f"{page}:{number}: {target}"
        if anchor:
            other = file.resolve().relative_to(ROOT).as_posix()
            assert anchor in pages.anchors(other), f"{page}:{number}: {target}"


@every_page
def test_lines_are_short(page):
    for number, line in pages.prose(page):
        without = re.sub(r"\]\([^)]*\)", "]", line)  # a link's address cannot be broken
        assert len(without) <= LONGEST or line.startswith("|"), f"{page}:{number}: {len(without)} letters"


@every_page
def test_no_page_names_a_path_of_a_machine(page):
    for number, line in enumerate(pages.lines(page), 1):
        assert not re.search(r"/(root|work)/|/home/[a-z]", line), f"{page}:{number}: {line}"


# ---- commands and options --------------------------------------------------------------------------------------


@cache
def command(*names):
    """The command of this name, and a context for it; None where there is none."""
    found, context = cli, click.Context(cli, info_name="lrcn")
    for name in names:
        found = found.get_command(context, name) if isinstance(found, click.Group) else None
        if found is None:
            return None
        context = click.Context(found, info_name=name, parent=context)
    return found


@cache
def options():
    """Command, as a tuple of names -> its options; () -> those of all."""
    every, left = {}, [(name,) for name in COMMANDS]
    while left:
        names = left.pop()
        found = command(*names)
        every[names] = {option for param in found.params for option in (*param.opts, *param.secondary_opts)}
        if isinstance(found, click.Group):
            left += [(*names, each) for each in found.list_commands(click.Context(found))]
    from lrcn.commands.rating_sheet import rating_sheet

    every["evaluate", "caption/rating-sheet"] = {option for param in rating_sheet.params for option in param.opts}
    of_lrcn = {option for names in every for option in every[names] if option.startswith("--")}
    return every | {(): of_lrcn | {"--help", "--version"}}


def command_lines(page):
    """(where, words) of each `lrcn ...` on a page: in blocks, and in backticks."""
    for block in pages.blocks(page):
        if block.language == "sh":
            code = re.sub(r"\\\n\s*", "", block.code)
            for each in re.findall(r"(?:^|[;&|(]\s*)(?:\S*/)?lrcn ([^\n;&|#)]*)", code, re.M):
                yield block.where, each.split()
    for number, code in pages.spoken(page):
        if code.startswith("lrcn "):
            yield f"{page}:{number}", code.split()[1:]


def added(page):
    """The commands that the code on a page adds to the program, where it shows how."""
    code = "".join(block.code for block in pages.blocks(page))
    return {*re.findall(r'\.command\(\s*"(\w+)"', code), *re.findall(r'"(\w+)": "\1"', code)}


@every_page
def test_commands_and_options_are_those_of_the_program(page):
    for where, words in command_lines(page):
        if added(page) & set(words[:2]):
            continue
        names = []
        while words and re.fullmatch(r"[a-z0-9]+", words[0]) and command(*names, words[0]):
            names.append(words.pop(0))
        if words[:1] == ["caption/rating-sheet"]:
            names.append(words.pop(0))
        assert names or (words and words[0].startswith("-")), f"{where}: there is no `lrcn {' '.join(words)}`"
        allowed = options()[tuple(names)] | {"--help", "-h"}
        for word in words:
            option = word.partition("=")[0].strip("[]")
            assert not option.startswith("--") or option in allowed, f"{where}: lrcn {' '.join(names)} has no {option}"


def test_the_table_of_experiments_has_all_of_them():
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    table = page.partition("| experiment | trains |")[2].partition("\n\n")[0]
    assert sorted(re.findall(r"^\| `([\w/-]+)` \|", table, re.M)) == experiment.names()


def test_the_differences_are_settings_and_experiments_that_there_are():
    page = (ROOT / "docs" / "differences.md").read_text(encoding="utf-8")
    settings = re.findall(r"(?<![\w-])([a-z]\w+)=([\w.]+)`", page)
    assert len(settings) >= 9
    for name, value in settings:
        nets = [variant for variant in catalogue.variants() if name in variant.table]
        assert nets and all(variant.settings(**{name: value}) for variant in nets), name
    for name in "activity/table1-released", "caption/vgg16-released":
        assert name in page and name in experiment.names()
    known = {option for command in (evaluate, classify) for each in command.params for option in each.opts}
    assert {"--mean-slip", "--flow-negation"} <= known & set(re.findall(r"--[a-z-]+", page))


def test_pictures_of_the_pages_are_there_and_small():
    found = {
        ((ROOT / page).parent / target).resolve()
        for page in pages.names()
        for target in re.findall(r"!\[.*?\]\((.*?)\)", (ROOT / page).read_text(encoding="utf-8"))
    }
    assert found == set((ROOT / "docs/pictures").iterdir())
    assert all(path.stat().st_size < 500_000 for path in found)
