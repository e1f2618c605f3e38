"""The loader's worker processes: the batches they make, how they fail, and that they end."""

import gc
import os
import select
import signal

import cv2
import numpy as np
import pytest

from data_prep import store
from data_prep.dataset import Dataset
from lrcn.activity.clip_loader import Loader, LoaderInPlace, LoaderToCard
from lrcn.activity.sampler import Sampler
from lrcn.engine.crew import LoaderError
from tests.damaged import damage
from tests.datasets import clip_settings, make_dataset


def loader(settings, first=0):
    return Loader(Sampler(Dataset(settings["data"]).read_list(settings["list"]), settings), settings, first)


def batches(count, settings, first=0):
    made = loader(settings, first)
    return [(data.copy(), labels.copy()) for data, labels in (next(made) for _ in range(count))]


def same(one, two):
    return all(np.array_equal(a, b) for x, y in zip(one, two, strict=True) for a, b in zip(x, y))


@pytest.mark.parametrize("workers", [1, 3, 9])
def test_any_number_of_workers_makes_the_same_batches(dataset, workers):
    assert same(batches(5, clip_settings(dataset)), batches(5, clip_settings(dataset, workers=workers)))


def test_a_resumed_loader_goes_on_with_the_batch_it_had_come_to(dataset):
    assert same(batches(6, clip_settings(dataset))[3:], batches(3, clip_settings(dataset), first=3))


@pytest.mark.parametrize("modality", ["rgb", "flow"])
def test_batches_hold_the_pixels_that_the_draws_ask_for(dataset, modality):
    """Made again from the stored images, the sampler's clips, and the words of ClipData's description."""
    settings = clip_settings(dataset, modality=modality)
    folder, mean = Dataset(dataset), np.array(settings["mean"])
    clips = Sampler(folder.read_list("train1.txt"), settings)
    for index, (data, labels) in enumerate(batches(4, settings)):
        for v, clip in enumerate(clips.batch(index)):
            assert labels[v] == clip.label
            for t in range(settings["frames"]):
                image = cv2.imdecode(
                    np.frombuffer(folder.jpeg(modality, clip.video, clip.first + t), np.uint8), cv2.IMREAD_COLOR
                ).astype(float)
                if clip.mirror:
                    image = image[:, ::-1].copy()
                    if modality == "flow":
                        image[..., 2] = 255 - image[..., 2]
                window = image[clip.row : clip.row + 16, clip.column : clip.column + 16] - mean
                assert np.allclose(data[t, v], window.transpose(2, 0, 1), atol=1e-4)


def test_a_broken_image_is_named(tmp_path):
    folder = make_dataset(tmp_path / "broken")
    with store.ImageWriter(folder, "rgb") as writer:
        writer.add("v_01", 1, [b"\xff\xd8 not a jpeg"] * 20, 24, 32)
    with pytest.raises(LoaderError, match="v_01"):
        batches(2, clip_settings(folder))


def test_a_damaged_image_stops_or_the_nearest_whole_one_stands_in_its_place(tmp_path, monkeypatch, capfd):
    damaged, mended = make_dataset(tmp_path / "d"), make_dataset(tmp_path / "e")
    whole = {number: Dataset(mended).jpeg("rgb", "v_01", number) for number in range(1, 21)}
    for number in (1, 8, 9):  # in whose place stand 2, 7 and 10
        damage(damaged / "frames", store.key("rgb", "v_01", number))
        whole[number] = whole[{1: 2, 8: 7, 9: 10}[number]]
    with store.ImageWriter(mended, "rgb") as writer:
        writer.add("v_01", 1, list(whole.values()), 24, 32)
    settings = clip_settings(damaged, videos=6, frames=18)
    with pytest.raises(LoaderError, match=r"v_01\.000[189]\.jpg is not as it was written; .* --on-corrupt skip"):
        batches(2, settings)
    monkeypatch.setenv("LRCN_ON_CORRUPT", "skip")
    capfd.readouterr()
    assert same(batches(2, settings), batches(2, settings | {"data": str(mended)}))
    said = set(capfd.readouterr().err.splitlines())
    assert "lrcn-passed-over: rgb image 8 of v_01 is damaged, 7 stands in its place" in said
    assert "lrcn-passed-over: rgb image 9 of v_01 is damaged, 10 stands in its place" in said


def alive(process):
    return process.poll() is None


def test_a_worker_that_is_killed_is_reported_not_waited_for(dataset):
    made = loader(clip_settings(dataset))
    next(made)
    made.crew.workers[1].send_signal(signal.SIGKILL)
    with pytest.raises(LoaderError, match="loader process"):
        for _ in range(4):
            next(made)


def test_workers_end_with_the_loader(dataset):
    made = loader(clip_settings(dataset))
    next(made)
    workers = made.crew.workers
    assert all(map(alive, workers))
    del made
    gc.collect()
    assert not any(map(alive, workers))


def test_workers_end_when_their_parent_is_killed(dataset):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            made = loader(clip_settings(dataset))
            next(made)
            os.write(writing, " ".join(str(worker.pid) for worker in made.crew.workers).encode() + b"\n")
            signal.pause()
        finally:
            os._exit(1)
    os.close(writing)
    with open(reading) as told:
        workers = [os.pidfd_open(int(pid)) for pid in told.readline().split()]
    assert len(workers) == 2
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    for worker in workers:
        select.select([worker], [], [])  # until it has ended
        os.close(worker)


class Card:
    """Stands in for the engine's HandOver: a copy lands when it is waited for, and takes what the slot then holds."""

    def __init__(self, slots):
        self.slots, self.begun, self.log = slots, None, []

    def begin(self, slot):
        assert self.begun is None, "two copies into one spare buffer"
        self.begun = slot
        self.log.append("begin")

    def give(self, blob):
        blob.data[...] = self.slots[self.begun].reshape(blob.data.shape)
        self.begun = None
        self.log.append("give")


class Blob:
    def __init__(self, settings):
        size = settings["crop"]
        self.data = np.zeros((settings["frames"] * settings["videos"], 3, size, size), np.float32)


class InPlace:
    """Stands in for the engine's InPlace: the blob's data are the slot itself."""

    def __init__(self, slots):
        self.slots = slots

    def give(self, slot, blob):
        blob.data = self.slots[slot].reshape(blob.data.shape)


@pytest.mark.parametrize("first", [0, 4])
def test_a_batch_read_in_place_stays_until_the_next_is_asked_for(dataset, first):
    settings, blob = clip_settings(dataset), Blob(clip_settings(dataset))
    made = LoaderInPlace(InPlace, Sampler(Dataset(dataset).read_list(settings["list"]), settings), settings, first)
    for data, labels in batches(6, settings, first):
        assert np.array_equal(made.fill(blob), labels)
        made.crew.wait(made.waiting[-1][2])  # all that is ordered is made, and this one as it was
        assert np.array_equal(blob.data, data.reshape(blob.data.shape))


def test_a_data_set_is_only_read(tmp_path):
    """By workers and by Caffe's side: nothing is written beside it, no lock and no index."""
    folder = make_dataset(tmp_path / "data")

    def state():
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in tmp_path.rglob("*")}

    before = state()
    batches(3, clip_settings(folder))
    assert state() == before


@pytest.mark.parametrize("first", [0, 4])
def test_a_card_is_handed_the_same_batches(dataset, first):
    """Whether the next batch is whole in time or not, and though a slot is free as soon as its batch is given."""
    settings, blob = clip_settings(dataset), Blob(clip_settings(dataset))
    videos = Dataset(dataset).read_list(settings["list"])
    made = LoaderToCard(Card, Sampler(videos, settings), settings, first)
    for number, (data, labels) in enumerate(batches(9, settings, first)):
        if number % 2:  # sooner or later the next batch is whole, and on its way before it is asked for
            made.crew.wait(made.waiting[1][2])
        assert np.array_equal(made.fill(blob), labels)
        assert np.array_equal(blob.data, data.reshape(blob.data.shape))
    assert made.card.log.count("give") == 9


def test_a_batch_that_is_whole_is_on_its_way_before_it_is_asked_for(dataset):
    settings, blob = clip_settings(dataset), Blob(clip_settings(dataset))
    made = LoaderToCard(Card, Sampler(Dataset(dataset).read_list(settings["list"]), settings), settings)
    made.crew.wait(made.waiting[1][2])
    made.fill(blob)
    assert made.card.log == ["begin", "give", "begin"]
    made.fill(blob)
    assert made.card.log[:4] == ["begin", "give", "begin", "give"]


def test_an_order_is_done_when_it_can_be_waited_for_at_once(dataset):
    made = loader(clip_settings(dataset))
    _, _, order = made.waiting[0]
    made.crew.workers[1].send_signal(signal.SIGSTOP)
    made._order()
    stopped = made.waiting[1][2]
    assert not made.crew.has_done(stopped)
    made.crew.workers[1].send_signal(signal.SIGCONT)
    made.crew.wait(stopped)
    assert made.crew.has_done(stopped) and made.crew.has_done(order)
