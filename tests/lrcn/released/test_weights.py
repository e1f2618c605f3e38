"""Released weights: the table, the fetching by name, and what a value of --weights means."""

import hashlib
import json
import re
import signal
import subprocess
import threading
from math import prod

import pytest

from data_prep import DataError
from lrcn.activity import clip_settings
from lrcn.cli import cli
from lrcn.engine import container
from lrcn.released.published_file import PublishedFile, in_words
from lrcn.released.weights import RELEASES, Release, fetch_weights, weights_file
from netspecs import catalogue, published
from prototxt_gen import SpecError
from prototxt_gen.shapes import infer
from prototxt_gen.weights import AFRESH, CLASH, COPIED, Blob, Weights, plan
from tests.commands import LRCN, lrcn, refused
from tests.lrcn.released.server import serving
from tests.weights import write_weights

NET = catalogue.get("activity/single-frame-rgb").files(backbone="tiny", crop=20)["deploy"]


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv("LRCN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LRCN_WEIGHTS", raising=False)
    for name in ("http_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with serving(write_weights(tmp_path / "made.caffemodel", NET).read_bytes()) as server:
        yield server


@pytest.fixture
def here(server, monkeypatch):
    """Adds a release whose file the server has: here(checksums)."""

    def add(name="mine", size=None, checksums=(), address=True):
        file = PublishedFile("mine.caffemodel", server.url if address else None, size, dict(checksums), "a note")
        monkeypatch.setitem(RELEASES, name, Release(name, "a net", file, "https://page.invalid"))
        return RELEASES[name]

    return add


def fetched(name, url=None):
    return fetch_weights(name, url, lambda *report: None)


def sums(content):
    return {"SHA-1": hashlib.sha1(content).hexdigest(), "SHA-256": hashlib.sha256(content).hexdigest()}


# ---- the table ---------------------------------------------------------------------------------------------


def test_checksums_are_whole_and_those_that_their_publishers_give():
    lengths = {"SHA-1": 40, "SHA-256": 64}
    for release in RELEASES.values():
        assert all(re.fullmatch(f"[0-9a-f]{{{lengths[kind]}}}", each) for kind, each in release.file.checksums.items())
        assert release.file.address or release.file.note
    # BVLC's model card; the size is that of 60,965,224 floats and a little around them
    caffenet = RELEASES["caffenet"].file
    assert caffenet.checksums["SHA-1"] == "4c8d77deb20ea792f84eb5e6d0a11ca0a8660a46"
    assert 4 * 60_965_224 < caffenet.size < 4 * 60_965_224 + 5_000
    assert 4 * 138_357_544 < RELEASES["vgg16"].file.size < 4 * 138_357_544 + 5_000


def test_sizes_in_words():
    assert [in_words(size) for size in (17, 113_943, 243_862_418, 13_510_573_713)] == [
        "17 bytes",
        "111 KiB",
        "233 MiB",
        "12.6 GiB",
    ]


CAFFENET = {  # BVLC's models/bvlc_reference_caffenet
    "conv1": (96, 3, 11, 11),
    "conv2": (256, 48, 5, 5),
    "conv3": (384, 256, 3, 3),
    "conv4": (384, 192, 3, 3),
    "conv5": (256, 192, 3, 3),
    "fc6": (4096, 9216),
    "fc7": (4096, 4096),
    "fc8": (1000, 4096),
}
VGG16 = {  # configuration D of the paper
    **{
        f"conv{block}_{at + 1}": (outputs, inputs if at == 0 else outputs, 3, 3)
        for block, layers, inputs, outputs in [(1, 2, 3, 64), (2, 2, 64, 128), (3, 3, 128, 256), (4, 3, 256, 512)]
        + [(5, 3, 512, 512)]
        for at in range(layers)
    },
    "fc6": (4096, 25088),
    "fc7": (4096, 4096),
    "fc8": (1000, 4096),
}


def blobs(shapes):
    """Layers of a file that came in Caffe's first formats: four sizes a blob."""
    return [
        (name, [Blob((1,) * (4 - len(shape)) + shape, True, prod(shape)), Blob((1, 1, 1, shape[0]), True, shape[0])])
        for name, shape in shapes.items()
    ]


def of_published(file):
    """Layers of a file that the net of the authors would leave."""
    net = next(net for path, net in published.files().items() if path.endswith(file))
    rows = infer(net, "TEST", ("factored", "2-layer")).rows
    return [
        (row.layer.name, [Blob(tuple(shape), False, prod(shape)) for shape in row.weights])
        for row in rows
        if row.weights
    ]


def released_layers(name):
    if name in ("caffenet", "vgg16"):
        return blobs(CAFFENET if name == "caffenet" else VGG16)
    if name == "lrcn-2f":
        return blobs(CAFFENET) + of_published("lrcn_word_to_preds.deploy.prototxt")
    if name == "lstm-lm":
        return of_published("lstm_lm.deploy.prototxt")
    if name == "hybrid":
        single = of_published("deploy_singleFrame.prototxt")
        return [each for each in single if each[0] != "fc8-ucf"] + blobs({"fc8": (1000, 4096)})
    return of_published("deploy_lstm.prototxt" if name.startswith("lrcn") else "deploy_singleFrame.prototxt")


def filled(name, variant, kind, settings):
    """Status -> layers of a variant's net, in training or deployment, that the released file fills."""
    files, file = variant.files(**settings), Weights(name, released_layers(name), False)
    training = kind == "train_test"
    phase, stages = ("TRAIN", files["solver"].train_state.stage) if training else ("TEST", ())
    inputs = variant.input_shapes(**settings)["train"] if training else {}
    entries = plan(files[kind], file, phase, stages, inputs=inputs, python=clip_settings.top_shapes).entries
    return {status: [each.layer for each in entries if each.status == status] for status in (COPIED, CLASH, AFRESH)}


@pytest.mark.parametrize("name", RELEASES)
def test_weights_fill_the_nets_that_the_table_names(name):
    release = RELEASES[name]
    assert release.whole or release.starts
    for each in release.whole:
        for kind in ("train_test", "deploy"):
            layers = filled(name, catalogue.get(each), kind, release.settings)
            assert layers[COPIED] and not layers[CLASH] and not layers[AFRESH], (each, kind)
    for each in release.starts:
        layers = filled(name, catalogue.get(each), "train_test", release.settings)
        assert layers[COPIED] and layers[AFRESH] and not layers[CLASH], each
        if name != "lstm-lm":
            assert {"fc6"} <= set(layers[COPIED]), each


# ---- fetching by name --------------------------------------------------------------------------------------


def test_weights_with_a_published_checksum_are_fetched_where_their_name_finds_them(server, here):
    one = here(size=len(server.content), checksums=sums(server.content))
    assert "as published (SHA-1 and SHA-256)" in fetched("mine")
    assert weights_file("mine") == one.path and one.path.read_bytes() == server.content
    assert [each.name for each in one.path.parent.iterdir()] == ["mine.caffemodel"]
    server.asked.clear()
    assert fetched("mine") == f"mine is there: {one.path}" and not server.asked


def test_another_file_than_the_published_is_named_and_not_put_there(server, here):
    wrong = sums(b"another")
    one = here(size=len(server.content), checksums=wrong)
    got = sums(server.content)["SHA-1"]
    with pytest.raises(DataError, match=f"{server.url}.*SHA-1 {got}, where {wrong['SHA-1']} was published"):
        fetched("mine")
    assert not list(one.path.parent.iterdir())


def test_a_file_that_was_put_there_by_hand_is_held_against_the_published_too(server, here):
    one = here(size=len(server.content), checksums=sums(server.content))
    one.path.parent.mkdir(parents=True)
    one.path.write_bytes(server.content[:-1] + b"x")
    with pytest.raises(DataError, match="SHA-1.*remove it"):
        fetched("mine")
    one.path.write_bytes(server.content[:-1])
    with pytest.raises(SpecError, match=f"has {len(server.content) - 1:,} bytes.*lrcn weights fetch mine"):
        weights_file("mine")
    one.path.write_bytes(server.content)
    assert "is there" in fetched("mine") and not server.asked


def test_without_a_published_checksum_the_one_that_came_is_told_and_noted(server, here):
    one = here()
    said = fetched("mine")
    digest = sums(server.content)["SHA-256"]
    note = one.path.with_name("mine.caffemodel.sha256")
    assert digest in said and str(note) in said
    assert subprocess.run(["sha256sum", "-c", note.name], cwd=note.parent, capture_output=True).returncode == 0


def test_without_a_published_checksum_the_first_that_came_is_the_one_that_is_taken(server, here):
    one = here()
    fetched("mine")
    whole = server.content
    server.content = whole + b"\n\x03net"  # weights as well, but other bytes
    one.path.write_bytes(server.content)
    with pytest.raises(DataError, match=f"{one.path}: has SHA-256 .* was noted .*; remove it and fetch it again"):
        fetched("mine")
    one.path.unlink()
    note = one.path.with_name("mine.caffemodel.sha256")
    with pytest.raises(
        DataError, match=f"what it sent has SHA-256 .*; removed. To take it all the same, remove {note}"
    ):
        fetched("mine")
    assert [path.name for path in one.path.parent.iterdir()] == [note.name]
    server.content = whole
    assert sums(whole)["SHA-256"] in fetched("mine") and one.path.read_bytes() == whole


@pytest.mark.parametrize(
    "content",
    [
        lambda whole: whole[:-100],
        lambda whole: b"",
        lambda whole: b'name: "net"\nlayer { name: "fc" }\n',
        lambda whole: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        lambda whole: b"PK\x03\x04" + whole,
        lambda whole: b'{"error": "quota"}',
    ],
)
def test_without_a_published_checksum_what_is_no_caffemodel_is_refused(server, here, content):
    one = here()
    server.content = content(server.content)
    with pytest.raises(DataError, match=f"{server.url}: sent no weights") as caught:
        fetched("mine")
    assert "\n" not in str(caught.value) and not list(one.path.parent.iterdir())


def test_a_mirror_is_held_against_the_published_checksum(server, here):
    one = here(size=len(server.content), checksums=sums(server.content), address=False)
    with pytest.raises(DataError, match=f"a note.*--from URL, or put the file at {one.path}"):
        fetched("mine")
    mirror = server.url + "/mirror"
    server.answers["/file/mirror"] = (200, {}, b"\n\x03net" + server.content[5:])
    with pytest.raises(DataError, match=f"{mirror}.*was published"):
        fetched("mine", mirror)
    server.answers.clear()
    assert "as published" in fetched("mine", mirror) and one.path.read_bytes() == server.content


def test_a_name_that_is_none():
    with pytest.raises(SpecError, match="cafenet.*did you mean 'caffenet'"):
        fetched("cafenet")


# ---- what --weights means ----------------------------------------------------------------------------------


def test_a_file_comes_before_a_name_and_a_folder_does_not(server, here, tmp_path, monkeypatch):
    one = here()
    fetched("mine")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    assert weights_file("mine") == one.path
    (tmp_path / "mine").rmdir()
    (tmp_path / "mine").write_bytes(b"own")
    assert str(weights_file("mine")) == "mine"
    assert weights_file(tmp_path / "mine") == tmp_path / "mine"


@pytest.mark.parametrize(
    "value, words",
    [
        ("caffenet", "caffenet: not fetched: lrcn weights fetch caffenet (233 MiB)"),
        ("hybrid", "hybrid: not fetched: lrcn weights fetch hybrid (size not published)"),
        ("lrcn-fc6-flow", "lrcn-fc6-flow: not here; the page links to it"),
        ("hybird", "hybird: no such file; .*did you mean 'hybrid'"),
        ("vgg16.caffemodel", "vgg16.caffemodel: no such file; .*did you mean 'vgg16'"),
        ("nowhere/hybrid", "nowhere/hybrid: no such file; .*did you mean 'hybrid'"),
        ("activity/lrcn-fc6-rgb", "did you mean 'lrcn-fc6-rgb'"),
        ("bvlc_reference_caffenet.caffemodel", "did you mean 'caffenet'"),
        ("nowhere/net.caffemodel", "a name of `lrcn weights list`$"),
        (".", r"\.: a folder"),
        ("", "with no name"),
    ],
)
def test_what_is_neither_file_nor_fetched(server, value, words):
    with pytest.raises(SpecError, match=words.replace("(", r"\(").replace(")", r"\)")) as caught:
        weights_file(value)
    assert "\n" not in str(caught.value)


def test_a_container_finds_the_weights_of_its_caller(server, here, monkeypatch, tmp_path):
    one = here()
    fetched("mine")
    within = container._environment("lrcn:cpu")
    monkeypatch.setenv("LRCN_CACHE", str(tmp_path / "the image's"))
    monkeypatch.setenv("LRCN_WEIGHTS", within["LRCN_WEIGHTS"])
    assert weights_file("mine") == one.path


# ---- the commands ------------------------------------------------------------------------------------------


def test_the_commands_fetch_and_use_weights_by_name(server):
    assert lrcn("nets", "weights", "activity/single-frame-rgb", "hybrid").returncode == 2
    done = lrcn("weights", "fetch", "hybrid", "--from", server.url)
    assert done.returncode == 0 and sums(server.content)["SHA-256"] in done.stdout
    assert re.search(r"hybrid: \d/1 MiB", done.stderr)
    used = lrcn("nets", "weights", "activity/single-frame-rgb", "hybrid", "--set", "backbone=tiny", "--json")
    entries = json.loads(used.stdout)["layers"]
    assert {entry["layer"] for entry in entries if entry["status"] == "copied"} >= {"conv1", "fc7"}, used.stdout
    listed = json.loads(lrcn("weights", "list", "--json").stdout)
    assert {entry["name"] for entry in listed if entry["here"]} == {"hybrid"}
    assert "is there" in lrcn("weights", "fetch", "hybrid").stdout
    refused(lrcn("weights", "list", "hybird"), "did you mean 'hybrid'")


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "caption/lrcn-2f", "--data", "d", "--weights"],
        ["evaluate", "caption/lrcn-2f", "--data", "d", "--weights"],
        ["caption", "x.jpg", "--net", "caption/lrcn-2f", "--vocabulary", "v", "--weights"],
        ["prepare", "features", "--data", "d", "--net", "caption/lrcn-2f", "--out", "o", "--weights"],
        ["nets", "weights", "caption/lrcn-2f"],
    ],
)
def test_every_command_that_takes_weights_takes_their_names(server, arguments):
    for name, words in (
        ("caffenet", "not fetched: lrcn weights fetch caffenet"),
        ("cafenet", "did you mean 'caffenet'"),
    ):
        with pytest.raises(SpecError, match=words):
            cli.main([*arguments, name], standalone_mode=False)


def test_a_refused_fetch_is_one_line_and_exit_code_2(server):
    server.answers["/file"] = (404, {}, b"")
    refused(lrcn("weights", "fetch", "hybrid", "--from", server.url), server.url, "404 Not Found")


def test_ctrl_c_is_exit_code_130_and_the_same_command_goes_on(server):
    go_on = threading.Event()
    server.pause = (100, go_on)
    process = subprocess.Popen(
        [LRCN, "weights", "fetch", "hybrid", "--from", server.url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    server.paused.wait()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    go_on.set()
    assert (
        process.returncode == 130 and said.splitlines()[-1] == "lrcn: interrupted; the same command goes on from here"
    )
    assert not RELEASES["hybrid"].path.exists()
    server.pause = None
    assert lrcn("weights", "fetch", "hybrid", "--from", server.url).returncode == 0
    assert RELEASES["hybrid"].path.read_bytes() == server.content
