"""The table of data sets: what it says can be typed."""

import json
import re
import shlex

import click
import pytest

from lrcn.cli import cli
from lrcn.released.data_sets import DATA_SETS
from lrcn.released.weights import RELEASES
from tests.commands import lrcn, refused


def test_checksums_are_whole():
    lengths = {"SHA-256": 64, "MD5": 32}
    for each in DATA_SETS.values():
        for file in each.files:
            assert file.address or file.note
            for kind, digits in file.checksums.items():
                assert re.fullmatch(f"[0-9a-f]{{{lengths[kind]}}}", digits), file.name


@pytest.mark.parametrize("name", DATA_SETS)
def test_the_commands_that_come_next_are_lrcns(name):
    typed = "\n".join(DATA_SETS[name].commands).replace("\\\n", " ").splitlines()
    assert typed[0].startswith("lrcn prepare ")
    for line in typed:
        program, *words = shlex.split(line)
        command, context = cli, click.Context(cli)
        while isinstance(command, click.Group):
            command = command.get_command(context, words.pop(0))
            context = click.Context(command, parent=context)
        options, _, _ = command.make_parser(context).parse_args(words)  # NoSuchOption for what it does not know
        if "weights" in options:
            assert options["weights"] in RELEASES
        assert program == "lrcn"


def test_data_list_prints_the_table():
    listed = json.loads(lrcn("data", "list", "--json").stdout)
    ucf101 = next(each for each in listed if each["name"] == "ucf101")
    assert [each["name"] for each in listed] == list(DATA_SETS)
    assert ucf101["files"][0] | {"note": ""} == {
        "file": "UCF101.rar",
        "address": "https://www.crcv.ucf.edu/data/UCF101/UCF101.rar",
        "size": 6932971618,
        "checksums": {},
        "note": "",
    }
    text = lrcn("data", "list", "ucf101").stdout
    assert "6,932,971,618 bytes (6.5 GiB)" in text and "not published" in text
    assert "lrcn prepare ucf101 --videos UCF-101 --splits ucfTrainTestlist" in text
    refused(lrcn("data", "list", "ucf1"), "did you mean 'ucf101'")
