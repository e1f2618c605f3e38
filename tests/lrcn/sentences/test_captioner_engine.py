"""Captions from Caffe: the same as by replaying every prefix, for every net; and what `lrcn caption` takes and
refuses."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from data_prep import DataError
from lrcn import engine
from lrcn.engine.compute import Compute
from lrcn.engine.process import CaffeError
from lrcn.sentences import caption_files
from lrcn.sentences.captioner import Captioner
from lrcn.sentences.deploy_nets import DeployNets
from lrcn.sentences.images import images_in, read_image
from lrcn.sentences.readable import readable
from netspecs import catalogue
from prototxt_gen import SpecError, to_text
from prototxt_gen.weights import read_layer
from tests.commands import lrcn, refused
from tests.lrcn.sentences.small_nets import (
    NETS,
    REPLAY,
    SMALL,
    WORDS,
    features,
    trained_net,
    write_variant_weights,
    write_vocabulary,
)
from tests.rounding import rounding, summands

READS = {"slots": 4, "slot_words": 9, "frames": 5, "feature_size": 3}


def video_input(name, count=5):
    """(settings of a small net, what it is given as `Captioner` takes it, and by blob)."""
    rng, table = np.random.default_rng(2), catalogue.get(name).table
    sizes = SMALL | {size: value for size, value in READS.items() if size in table}
    if name == "video/encoder-decoder-max":
        slots = rng.integers(0, 9, (count, 4))
        return sizes, slots, {"input_slots": slots, "cont_sentence": np.tile([0, 1, 1, 1], (count, 1))}
    if name == "video/encoder-decoder-frames":
        begun = np.arange(5) > rng.integers(0, 5, (count, 1))  # videos of several lengths
        given = {"frames": rng.normal(size=(count, 5, 3)), "cont_sentence": begun}
        return sizes, given, given
    vectors = rng.uniform(0, 1, (count, 9))
    return sizes, vectors, {"semantics": vectors}


@pytest.mark.engine
@pytest.mark.parametrize(
    "name, more",
    [
        ("video/encoder-decoder-max", {}),
        ("video/encoder-decoder-frames", {}),
        ("video/decoder-prob", {}),
        ("video/decoder-max", {"semantics": "beside"}),
    ],
)
def test_sentences_of_videos_equal_replaying_the_whole_net(name, more, tmp_path):
    """Of an encoder-decoder all T + T' steps in one pass, for every prefix."""
    sizes, given, by_blob = video_input(name)
    sizes |= more
    whole = sizes | ({"deploy_steps": 13} if "encoder" in name else {})
    weights = write_variant_weights(tmp_path / "net.caffemodel", name, whole, end=-2.0)
    net = catalogue.get(name).files(vocabulary=len(WORDS) + 1, deploy_streams=1, **whole)["deploy"]
    (tmp_path / "net.prototxt").write_text(to_text(net))
    np.savez(tmp_path / "given.npz", **by_blob)
    tolerance = rounding(summands(net, 1 if "encoder" in name else 12), 3)  # the largest input; weights are below 1
    with Captioner.of(trained_net(name, weights, sizes), Compute(), streams=7) as captioner:
        for width in (1, 3):
            found = captioner.beam(given, width, width, length=12)
            done = subprocess.run(
                [sys.executable, REPLAY, tmp_path / "net.prototxt", weights, tmp_path / "given.npz", str(width), "12"],
                env=engine.find().environment() | {"GLOG_minloglevel": "2"},
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stderr[-2000:]
            slow = [json.loads(line)["sentences"] for line in done.stdout.splitlines()]
            assert len(slow) == len(found) == 5
            for ours, expected in zip(found, slow):
                assert [captioner.indices(each.words) + [0] * each.finished for each in ours] == [
                    [word for word, _ in sentence] for sentence in expected
                ]
                for each, sentence in zip(ours, expected):
                    assert each.log_probs == pytest.approx([gain for _, gain in sentence], abs=tolerance)
        assert len({tuple(sentences[0].words) for sentences in found}) > 1  # the videos count
        said = [captioner.indices(each.words) + [0] * each.finished for each in found[0]]
        scores = captioner.score(given, said)
        assert scores[0] == pytest.approx([each.log_prob for each in found[0]], abs=tolerance)
        part = {key: value[2:3] for key, value in by_blob.items()}
        alone = captioner.score(part if "frames" in name else given[2:3], said)
        assert alone[0] == pytest.approx(scores[2], abs=tolerance)
        with pytest.raises(SpecError, match="not 2x2"):
            captioner.beam({"frames": np.zeros((2, 2))} if "frames" in name else np.zeros((2, 2)))
        with pytest.raises(SpecError, match="needs a video's"):
            captioner.beam(None)


def captioner_net(name):
    """The deploy net of a net of NETS, for one stream and one word at a time."""
    return catalogue.get(name).files(vocabulary=len(WORDS) + 1, deploy_streams=1, **NETS[name])["deploy"]


@pytest.mark.engine
@pytest.mark.parametrize("name", NETS)
def test_a_beam_equals_replaying_every_prefix(name, tmp_path):
    weights = write_variant_weights(tmp_path / "net.caffemodel", name, NETS[name], end=1.0)
    fc8 = None if name.startswith("lm") else features()
    carried = captioner_net(name)
    (tmp_path / "carried.prototxt").write_text(to_text(carried))
    if fc8 is not None:
        np.save(tmp_path / "fc8.npy", fc8)
    tolerance = rounding(summands(carried, 12), 3)  # the largest fc8; weights are below 1
    with Captioner.of(trained_net(name, weights, NETS[name]), Compute(), streams=7) as captioner:
        for width in (1, 3, 5):
            found = captioner.beam(fc8, width, width, length=12)
            done = subprocess.run(
                [
                    sys.executable,
                    REPLAY,
                    tmp_path / "carried.prototxt",
                    weights,
                    "-" if fc8 is None else tmp_path / "fc8.npy",
                    str(width),
                    "12",
                ],
                env=engine.find().environment() | {"GLOG_minloglevel": "2"},
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stderr[-2000:]
            slow = [json.loads(line)["sentences"] for line in done.stdout.splitlines()]
            assert len(slow) == len(found)
            for ours, expected in zip(found, slow):
                assert [captioner.indices(each.words) + [0] * each.finished for each in ours] == [
                    [word for word, _ in sentence] for sentence in expected
                ]
                for each, sentence in zip(ours, expected):
                    assert each.log_probs == pytest.approx([gain for _, gain in sentence], abs=tolerance)
                    assert each.log_prob == pytest.approx(sum(gain for _, gain in sentence), abs=tolerance)
        lengths = {len(each.words) for sentences in found for each in sentences}
        assert len(lengths) > 1 or fc8 is None  # some ended before others, or were cut off

        check_unrolled(captioner, fc8, [sentences[0] for sentences in found], weights, tolerance)
        said = [captioner.indices(each.words) + [0] * each.finished for each in found[0]]
        scores = captioner.score(fc8, said)
        assert scores[0] == pytest.approx([each.log_prob for each in found[0]], abs=tolerance)
        assert scores.shape == (len(found), len(said))
        if fc8 is not None:
            assert np.ptp(scores, 0).max() > 20 * tolerance  # the image counts
            assert captioner.score(fc8[2:3], said)[0] == pytest.approx(scores[2], abs=tolerance)


def check_unrolled(captioner, fc8, captions, weights, tolerance):
    """The recomputed hidden state is Caffe's, which `unroll` sees to itself; so it gives each word the probability that
    Caffe gave it."""
    matrix, bias = read_layer(weights, "predict")
    unrolled = captioner.unroll(fc8, captions)
    assert len(unrolled) == len(captions)
    for caption, layers in zip(captions, unrolled):
        assert [each.layer for each in layers] == [f"lstm{number}" for number in range(1, len(layers) + 1)]
        assert layers[-1].steps == [*caption.words, *["<EOS>"] * caption.finished]
        assert max(each.apart for each in layers) < tolerance
        scores = layers[-1].gates.hidden @ matrix.T + bias
        normalised = (
            scores
            - np.log(np.exp(scores - scores.max(1, keepdims=True)).sum(1, keepdims=True))
            - scores.max(1, keepdims=True)
        )
        words = captioner.indices(caption.words) + [0] * caption.finished
        log_probs = normalised[np.arange(len(words)), words]
        assert log_probs == pytest.approx(caption.log_probs, abs=2 * tolerance)


@pytest.mark.engine
def test_samples_greedy_ends_and_lengths(tmp_path):
    name = "caption/lrcn-2f"
    weights = write_variant_weights(tmp_path / "net.caffemodel", name, NETS[name])
    with Captioner.of(trained_net(name, weights, NETS[name]), Compute(), streams=6) as captioner:
        fc8 = features(5)
        tolerance = rounding(summands(captioner_net(name), 50), 3)  # the largest fc8; weights are below 1
        for sampled, [best] in zip(captioner.sample(fc8, 2, float("inf")), captioner.beam(fc8), strict=True):
            for each in sampled:
                assert (each.words, each.finished) == (best.words, best.finished)
                assert each.log_probs == pytest.approx(best.log_probs, abs=tolerance)
            assert len(sampled) == 2
        drawn = captioner.sample(fc8, 20, 0.5, length=4, seed=3)
        assert drawn == captioner.sample(fc8, 20, 0.5, length=4, seed=3)
        for sentences in drawn:
            totals = [each.log_prob for each in sentences]
            assert totals == sorted(totals, reverse=True) and len(set(totals)) > 5
            for each in sentences:
                assert len(each.log_probs) <= 4 and (each.finished or len(each.words) == 4)
                assert each.text.endswith("." if each.finished else "...")
        said = [captioner.indices(each.words) + [0] * each.finished for each in drawn[4]]
        totals = [each.log_prob for each in drawn[4]]
        assert captioner.score(fc8[4:], said)[0] == pytest.approx(totals, abs=tolerance)
        endless = write_variant_weights(tmp_path / "endless.caffemodel", name, NETS[name], end=-1000.0)
        at_once = write_variant_weights(tmp_path / "at_once.caffemodel", name, NETS[name], end=1000.0)
    with Captioner.of(trained_net(name, endless, NETS[name]), Compute()) as captioner:
        assert {len(each.words) for each in captioner.beam(fc8, 3, 3)[0]} == {50}
    with Captioner.of(trained_net(name, at_once, NETS[name]), Compute()) as captioner:
        best = captioner.beam(fc8, 3)[0][0]
        assert (best.words, best.finished, best.text) == ([], True, ".")


@pytest.mark.engine
def test_what_does_not_fit_is_said_before_caffe_runs(tmp_path):
    name = "caption/lrcn-1u"
    weights, compute = write_variant_weights(tmp_path / "net.caffemodel", name, NETS[name]), Compute()
    with pytest.raises(SpecError, match="vocabulary of 12 words.*this one has 11"):
        Captioner.of(trained_net(name, weights, NETS[name], WORDS[:-1]), compute)
    with pytest.raises(SpecError, match="vocabulary has 12 words.*net has 20"):
        by_word = {"vocabulary": 20, "deploy_steps": 1, "deploy_streams": 1, "deploy_state": "exposed"}
        Captioner(DeployNets(catalogue.get(name).files(**NETS[name] | by_word)["deploy"]), weights, WORDS, compute)
    with pytest.raises(SpecError, match="does not fit"):
        Captioner.of(trained_net(name, weights, NETS[name] | {"units": 10}), compute)
    with pytest.raises(SpecError, match="no weights for lstm2"):
        Captioner.of(trained_net("caption/lrcn-2u", weights, NETS[name]), compute)
    with pytest.raises(SpecError, match="word by word"):
        whole = catalogue.get(name).files(vocabulary=13, **NETS[name])["deploy"]
        Captioner(DeployNets(whole), weights, WORDS, compute)
    with pytest.raises(SpecError, match="writes no sentences"):
        Captioner.of(trained_net("activity/lrcn-fc6-rgb", weights, {}), compute)
    with Captioner.of(trained_net(name, weights, NETS[name]), compute) as captioner:
        with pytest.raises(SpecError, match="5 values"):
            captioner.beam(np.zeros((2, 4)))
        with pytest.raises(SpecError, match="fc8"):
            captioner.beam(None)
        with pytest.raises(SpecError, match="word 13"):
            captioner.score(features(), [[13]])
        assert captioner.beam(np.zeros((0, 5))) == []
        assert captioner.score(features(2), []).shape == (2, 0)


@pytest.mark.engine
def test_what_ends_caffe_is_said_in_one_line(tmp_path):
    name = "caption/lrcn-1u"
    nan = write_variant_weights(tmp_path / "nan.caffemodel", name, NETS[name], end=float("nan"))
    with pytest.raises(SpecError, match="nan.caffemodel: layer 'predict' holds nan or inf"):
        Captioner.of(trained_net(name, nan, NETS[name]), Compute())
    huge = write_variant_weights(tmp_path / "huge.caffemodel", name, NETS[name], size=3e38)
    with Captioner.of(trained_net(name, huge, NETS[name]), Compute()) as captioner:
        with pytest.raises(CaffeError, match="^the net's predictions are not finite; are these its weights.$"):
            captioner.beam(features())
        folder = captioner.folder
    assert not folder.exists()
    weights = write_variant_weights(tmp_path / "net.caffemodel", name, NETS[name])
    with Captioner.of(trained_net(name, weights, NETS[name]), Compute()) as captioner:
        captioner.beam(features())
        captioner.caffe.process.kill()
        for _ in range(2):
            with pytest.raises(CaffeError, match="signal 9"):
                captioner.beam(features())
        folder = captioner.folder
    assert not folder.exists()
    with Captioner.of(trained_net(name, weights, NETS[name]), Compute()) as captioner:
        folder = captioner.folder
        assert captioner.caffe is None  # it starts with the first order
    assert not folder.exists()


# ---- images ------------------------------------------------------------------------------------------------


def photograph(height=300, width=400):
    rng = np.random.default_rng(0)
    return cv2.resize(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), (width, height))


@pytest.fixture
def images(tmp_path):
    """Files of all kinds, by name; `bad` ones too."""
    colour = Image.fromarray(photograph()[..., ::-1])
    colour.save(tmp_path / "colour.jpg", quality=95)
    colour.convert("L").save(tmp_path / "grey.png")
    colour.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    colour.save(tmp_path / "moving.gif", save_all=True, append_images=[colour.rotate(90)])
    cv2.imwrite(str(tmp_path / "deep.png"), photograph().astype(np.uint16) * 257)
    colour.quantize(64).save(tmp_path / "palette.png")
    clear = colour.convert("RGBA")
    clear.putalpha(0)
    clear.save(tmp_path / "clear.png")
    whole = (tmp_path / "colour.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "cut.png").write_bytes((tmp_path / "grey.png").read_bytes()[:2000])
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "empty.jpg").write_bytes(b"")
    return tmp_path


def test_images_of_all_kinds(images):
    wanted = photograph().astype(float)
    for name, tolerance in {"colour.jpg": 3, "cmyk.jpg": 4, "moving.gif": 25, "deep.png": 1, "palette.png": 25}.items():
        found = read_image(images / name)
        assert found.dtype == np.uint8 and found.shape == wanted.shape
        assert abs(found - wanted).mean() < tolerance, name
    assert (read_image(images / "colour.jpg") == cv2.imread(str(images / "colour.jpg"))).all()  # as Caffe reads it
    grey = read_image(images / "grey.png")
    assert (grey[..., 0] == grey[..., 2]).all() and grey.shape == wanted.shape
    assert (read_image(images / "clear.png") == 255).all()
    for name in ("cut.jpg", "cut.png", "text.jpg", "empty.jpg", "missing.jpg", "."):
        with pytest.raises(DataError) as error:
            read_image(images / name)
        assert str(images / name) in str(error.value) and "\n" not in str(error.value)


def test_folders_of_images(images):
    (images / "x10").mkdir()
    for name in ("b10.JPG", "b9.png", "a.gif", ".hidden.png", "x.txt", "c.jpg.part"):
        (images / "x10" / name).touch()
    (images / "x10" / "folder.png").mkdir()
    found = images_in([images / "colour.jpg", images / "x10", images / "missing.jpg"])
    assert [str(path.relative_to(images)) for path in found] == [
        "colour.jpg",
        "x10/a.gif",
        "x10/b9.png",
        "x10/b10.JPG",
        "missing.jpg",
    ]
    (images / "bare" / "below").mkdir(parents=True)
    with pytest.raises(DataError, match="bare: holds no image"):
        images_in([images / "bare"])


# ---- the command -------------------------------------------------------------------------------------------

TINY = {**SMALL, "backbone": "tiny", "fc8": 5}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    write_variant_weights(folder / "net.caffemodel", "caption/lrcn-2f", TINY, size=0.3)
    write_vocabulary(folder / "vocabulary.txt")
    return folder


def caption(trained, *arguments, **options):
    chosen = {
        "net": "caption/lrcn-2f",
        "weights": trained / "net.caffemodel",
        "vocabulary": trained / "vocabulary.txt",
    } | options
    return lrcn(
        "caption",
        *arguments,
        *(part for name, value in chosen.items() for part in (f"--{name}", value)),
        "--set",
        *(f"{name}={value}" for name, value in TINY.items()),
        *(() if "--out" in arguments else ("--out", trained / "out")),
    )


@pytest.mark.engine
def test_caption_says_draws_and_saves(trained, images):
    files = [images / name for name in ("colour.jpg", "grey.png", "cmyk.jpg", "moving.gif")]
    done = caption(trained, *files, "--json", "--beam", 3, "--length", 6)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert [Path(each["image"]).name for each in answer["images"]] == [file.name for file in files]
    for each in answer["images"]:
        assert len(each["captions"]) == 3
        for said in each["captions"]:
            assert sum(said["log_probs"]) == pytest.approx(said["log_prob"]) and len(said["words"]) <= 6
        picture = cv2.imread(each["picture"])
        assert picture is not None and min(picture.shape[:2]) > 300 and np.ptp(picture) > 200
    assert len({each["picture"] for each in answer["images"]}) == 4
    seen = [each["captions"][0]["log_prob"] for each in answer["images"]]
    assert abs(seen[0] - seen[2]) < abs(seen[0] - seen[1])  # the same photograph in CMYK, and in grey
    text = caption(trained, files[0], "--length", 6)
    assert text.returncode == 0 and len(text.stdout.splitlines()) == 3
    drawn = caption(trained, files[0], "--json", "--temperature", 0.5, "--samples", 4, "--best", 2)
    assert len(json.loads(drawn.stdout)["images"][0]["captions"]) == 2


@pytest.mark.engine
def test_a_folder_of_images_and_cocos_results(trained, images):
    """All images of the folder in natural order, each as it is alone; the scored words in COCO's format by number."""
    folder = images / "val2014"
    (folder / "of_another").mkdir(parents=True)
    for number, name in ((10, "colour.jpg"), (9, "grey.png"), (2, "palette.png")):
        (folder / f"COCO_val2014_{number:012d}.{name[-3:]}").write_bytes((images / name).read_bytes())
    (folder / "notes.txt").write_text("no image")
    (folder / "._COCO_val2014_000000000010.jpg").write_bytes(b"a Mac's")
    out = images / "new" / "results.json"
    done = caption(trained, folder, "--json", "--length", 6, "--coco-json", out, "--out", images / "none")
    assert done.returncode == 0, done.stderr
    described = json.loads(done.stdout)["images"]
    assert [Path(each["image"]).stem[-2:] for each in described] == ["02", "09", "10"]
    assert not (images / "none").exists() and not any("picture" in each for each in described)
    captions = [each["captions"][0]["caption"] for each in described]
    assert caption_files.read_results(out) == dict(zip((2, 9, 10), captions))
    assert json.loads(out.read_text())[0] == {"image_id": 2, "caption": captions[0]}
    text = caption(trained, *(each["image"] for each in described), "--length", 6, "--out", images / "pictures")
    assert [line[11:] for line in text.stdout.splitlines()[1::3]] == [readable(each) for each in captions]
    assert len(list((images / "pictures").glob("*.png"))) == 3


@pytest.mark.engine
def test_caption_refuses_in_one_line(trained, images):
    (images / "bare").mkdir()
    refused(caption(trained, images / "bare"), "bare: holds no image")
    refused(caption(trained, images / "grey.png", "--coco-json", images / "r.json"), "grey.png: its name tells no id")
    refused(caption(trained, images / "grey.png", "--coco-json", images), "a folder; name a file")
    refused(caption(trained, images / "grey.png", "--ids", images / "x.json"), "--ids", "--coco-json")
    assert not (images / "r.json").exists()
    whole = images / "colour.jpg"
    refused(caption(trained, whole, images / "cut.jpg", images / "missing.jpg"), "cut.jpg", "missing.jpg")
    refused(caption(trained, whole, vocabulary=images / "text.jpg"), "<unk>")
    refused(caption(trained, whole, vocabulary=images / "missing.txt"), "missing.txt")
    short = write_vocabulary(images / "short.txt", WORDS[:-2])
    refused(caption(trained, whole, vocabulary=short), "12 words", "10 words")
    refused(caption(trained, whole, weights=images / "text.jpg"), "text.jpg")
    refused(caption(trained, whole, net="caption/lrcn-2g"), "did you mean")
    refused(caption(trained, whole, net="lm/lstm-lm"), "lm/lstm-lm")
    refused(caption(trained, whole, "--beam", 2, "--samples", 2), "--beam")
    refused(caption(trained, whole, "--beam", 2, "--best", 3), "--best")
    refused(caption(trained, images / "grey.png", "--out", images), "grey.png", "--out")
    assert not list(trained.glob("out/*cut*"))
