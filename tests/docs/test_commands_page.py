"""docs/commands.md says what the commands say."""

import re
import shlex

from tests.docs import commands_page, pages


def test_the_page_is_that_of_the_commands():
    is_there = commands_page.PAGE.read_text(encoding="utf-8")
    assert is_there == commands_page.page(), "write it anew: python -m tests.docs.commands_page"


def test_every_command_of_the_page_has_options_and_examples_of_its_own():
    text = commands_page.PAGE.read_text(encoding="utf-8")
    sections = re.split(r"^## ", text, flags=re.M)[1:]
    assert len(sections) > 35 and all(each.startswith("lrcn ") for each in sections)
    for each in sections:
        name = each.partition("\n")[0]
        usage, examples = (block.strip() for block in re.findall(r"```text\n(.*?)```", each, re.S))
        assert usage.startswith(name)
        listed = set(re.findall(r"^- `.*?(--[\w-]+)", each, re.M))
        used = {word for word in shlex.split(examples.replace("\\\n", ""), comments=True) if word.startswith("--")}
        others = {"--data", "--out"}  # of the second command of an example
        assert name in examples and used - others <= listed, name


def test_the_contents_name_every_command():
    linked = {target for _, target in pages.links("docs/commands.md") if target.startswith("#")}
    headings = {f"#{anchor}" for anchor in pages.anchors("docs/commands.md")}
    assert linked == headings - {"#commands"}
