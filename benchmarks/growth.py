"""How time and memory grow with what there is to do: videos, captions, vocabulary, beam, length of a clip.

    python benchmarks/growth.py [--only WORD ...] [--most 10000] > growth.json    # 3 minutes on 2 cores
    python benchmarks/growth.py --draw growth.json --out docs                     # the page's plots and table

Each point is a process of its own, so that the memory that it, or the largest of its children, takes is the point's.
The stand-in data are tiny: what is measured is what lrcn does for a video or a caption, whatever is in it.
Not a ratio, so not part of `lrcn bench`: prints one JSON document, of the points and of each quantity's slopes, which
are exponents: 1 is linear, 0 does not grow.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

VIDEOS, FRAMES, CLASSES = (10, 100, 1000, 10_000), 8, 5
HEIGHT, WIDTH, CROP = 64, 80, 56  # of frames, and of the small CNN
BEGIN, END = "<!-- growth.py writes from here -->", "<!-- to here -->"
UNITS, WORDS, LENGTH = 100, 1000, 12  # of the captioner whose beams grow


# ---- stand-ins -----------------------------------------------------------------------------------------------


def videos(folder: Path, count: int) -> Path:
    """Folders of classes with tiny videos: five that differ, under many names."""
    import cv2

    random = np.random.default_rng(0)
    for k in range(CLASSES):
        path = folder / "videos" / f"class{k}" / f"v_{k}_0.avi"
        path.parent.mkdir(parents=True)
        writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"XVID"), 25, (WIDTH, HEIGHT))
        for _ in range(FRAMES):
            writer.write(cv2.resize(random.integers(0, 256, (8, 10, 3), np.uint8), (WIDTH, HEIGHT)))
        writer.release()
        for other in range(1, count // CLASSES):
            os.link(path, path.with_name(f"v_{k}_{other}.avi"))
    return folder / "videos"


def apart(write: Callable[..., None], *arguments) -> None:
    """Writes stand-in data in a process of its own, whose memory is not counted."""
    from data_prep.children import multiprocessing_safely

    maker = multiprocessing.get_context("spawn").Process(target=write, args=arguments)
    with multiprocessing_safely():
        maker.start()
    maker.join()


class Drawn:
    """Images with five captions each, of words with Zipf's frequencies, read from a file whenever they are gone
    through: no list of them is in memory."""

    def __init__(self, folder: Path, count: int, vocabulary: int, exponent: float):
        self.path = folder / "drawn.txt"
        apart(write_captions, self.path, count, vocabulary, exponent)

    def __iter__(self):
        from data_prep.captions import Image

        with open(self.path) as file:
            for k, line in enumerate(file):
                yield Image(f"{k:07d}.jpg", "val" if k % 10 == 9 else "train", line.rstrip("\n").split("\t"))


def write_captions(path: Path, count: int, vocabulary: int, exponent: float) -> None:
    random, letters = np.random.default_rng(0), "etaoinshrdlu"
    words = [
        "".join(letters[k // len(letters) ** place % len(letters)] for place in range(5)) for k in range(vocabulary)
    ]
    shares = np.cumsum(np.arange(1, vocabulary + 1) ** -exponent)
    with open(path, "w") as file:
        for _ in range(count // 5):
            lengths = random.integers(7, 16, 5)
            drawn = [words[w] for w in np.searchsorted(shares, shares[-1] * random.random(lengths.sum()))]
            texts = [" ".join(drawn[end - length : end]) for end, length in zip(np.cumsum(lengths), lengths)]
            file.write("\t".join(texts) + "\n")


def dataset_of(folder: Path, count: int) -> Path:
    """A prepared data set of tiny frames, without any video: its index, lists and images."""
    apart(write_dataset, folder, count)
    return folder


def write_dataset(folder: Path, count: int) -> None:
    import cv2

    from data_prep import store
    from data_prep.dataset import Video, index_text, list_text
    from data_prep.whole_files import write_json, write_text

    jpeg = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8))[1].tobytes()
    index = [Video(f"v_{k:06d}", f"class{k % CLASSES}", k % CLASSES, FRAMES) for k in range(count)]
    folder.mkdir()
    with store.ImageWriter(folder, "rgb") as writer:
        for video in index:
            writer.add(video.name, video.label, [jpeg] * FRAMES, HEIGHT, WIDTH)
    write_text(folder / "videos.tsv", index_text(index))
    for part in "train1", "test1":
        write_text(folder / f"{part}.txt", list_text(index))
    about = {"name": "growth", "kind": "frames", "classes": [f"class{k}" for k in range(CLASSES)], "mirror": True}
    write_json(folder / "dataset.json", about | {"height": HEIGHT, "width": WIDTH, "splits": [1]})


# ---- what grows ----------------------------------------------------------------------------------------------
# Each is given a folder and a size, makes what it needs, and gives what is timed.


def preparation(folder: Path, count: int) -> Callable[[], object]:
    """`lrcn prepare videos`: decoded, cut, stored, checked, listed."""
    from data_prep.videos import FrameOptions, prepare_folder

    place = videos(folder, count)
    return lambda: prepare_folder(
        place, None, folder / "data", FrameOptions(height=HEIGHT, width=WIDTH, algorithm=None)
    )


def _settings(data: Path, frames: int, **others) -> dict:
    sizes = {"crop": CROP, "height": HEIGHT, "width": WIDTH, "mean": [104.0, 117.0, 123.0], "scale": 1.0}
    manner = {"modality": "rgb", "mirror": True, "crop_slip": False, "order": "shuffle", "seed": 1701, "workers": 2}
    return {"data": str(data), "list": "train1.txt", "videos": 24, "frames": frames, **sizes, **manner, **others}


def loading(folder: Path, count: int) -> Callable[[], object]:
    """Twenty batches of ClipData's loader, in a drawn order, from the second on."""
    from data_prep.dataset import Dataset
    from lrcn.activity.clip_loader import Loader
    from lrcn.activity.sampler import Sampler

    settings = _settings(dataset_of(folder / "data", count), FRAMES)
    loader = Loader(Sampler(Dataset(settings["data"]).read_list("train1.txt"), settings), settings)
    next(loader)
    return lambda: [next(loader) for _ in range(20)]


def start(folder: Path, count: int) -> Callable[[], object]:
    """From `lrcn train` to the first batch, Caffe's own set-up of the net left out: the job opened, checked against the
    images that lie there, planned, the data set's identity, the list's order, the sampler, the workers, a batch."""
    from data_prep.dataset import Dataset
    from lrcn.activity.clip_loader import Loader
    from lrcn.activity.sampler import Sampler
    from lrcn.training.job import open_job
    from lrcn.training.tasks import task_of
    from lrcn.training.workspace import Start

    data = dataset_of(folder / "data", count)

    def begin() -> None:
        job = open_job(
            "activity/lrcn-fc6-rgb", data, folder / "runs", settings={"backbone": "tiny", "order": "shuffle"}
        )
        job.plan(Start(from_scratch=True))
        for training in job.trainings:
            task_of(training.variant).check_order(training, {})
            training.dataset.identity(training.variant.modality, 1)
        settings = _settings(data, FRAMES)
        next(Loader(Sampler(Dataset(data).read_list("train1.txt"), settings), settings))

    return begin


def evaluation(folder: Path, count: int) -> Callable[[], object]:
    """Around the net's passes: the list of clips, scores added up and written every so often, read again, and all
    measures and tables of one model with RGB and flow. 16 frames a clip, 5 classes."""
    from data_prep.dataset import Dataset
    from lrcn.activity import evaluate, score

    dataset = Dataset(dataset_of(folder / "data", count))
    labels = evaluate.test_labels(dataset, 1)
    job = {"strides": [8], "frames": 16, "keep_clips": False, "modality": "rgb", "list": "test1.txt"}
    probs = np.random.default_rng(0).dirichlet(np.ones(CLASSES), 16)

    def measure() -> None:
        for modality in "rgb", "flow":
            clips = score.VideoClips(job, dataset)
            scores = score.Scores(folder / f"{modality}.npz", job, count, CLASSES)
            for begin in range(0, count, score.SAVE_EVERY):
                end = min(begin + score.SAVE_EVERY, count)
                for of_video in clips[begin:end]:
                    for clip in of_video:
                        scores.add(clip, probs, labels[clip.v])
                scores.save(end)
        loaded = {"lrcn-fc6": {each: score.load(folder / f"{each}.npz") for each in ("rgb", "flow")}}
        hits = {"lrcn-fc6": {each: score.load_hits(folder / f"{each}.npz") for each in ("rgb", "flow")}}
        summary = evaluate.summarise(loaded, hits, labels, dataset.classes)
        evaluate._write_tables(summary, dataset.classes, folder, "")

    return measure


def comparison(folder: Path, count: int) -> Callable[[], object]:
    """`lrcn compare` and `lrcn report` of results of so many test videos."""
    from data_prep.whole_files import write_json
    from lrcn.activity import evaluate
    from lrcn.report.page import write_report
    from lrcn.results import compare, formats

    random, classes = np.random.default_rng(0), [f"class{k}" for k in range(CLASSES)]
    labels = random.integers(0, CLASSES, count)
    scores = {each: random.dirichlet(np.ones(CLASSES), (count, 16)) for each in ("rgb", "flow")}
    hits = {each: np.full(16, 10.0) for each in scores}
    summary = evaluate.summarise({"lrcn-fc6": scores}, {"lrcn-fc6": hits}, labels, classes)
    data = {"name": "growth", "classes": classes, "test_videos": count, "split": 1, "kind": "frames"}
    about = {"task": "activity", "experiment": "growth", "dataset": data, "seed": 1701, "engine": None}
    path = folder / "results.json"
    write_json(path, about | {"evaluation": {"frames": "mean", "strides": [8]}, **summary})

    def show() -> None:
        formats.FORMATS["text"](compare.tables([compare.read(path)]))
        write_report([path], folder / "report.html")

    return show


def captions(folder: Path, count: int) -> Callable[[], object]:
    """`captions.prepare` of 20,000 words, 11 to a caption."""
    from data_prep import captions

    images = Drawn(folder, count, 20_000, 1.3)
    return lambda: captions.prepare("drawn", images, folder / "data", with_images=False)


def vocabulary(folder: Path, count: int) -> Callable[[], object]:
    """The same of 200,000 captions, of so many words, nearly all of which they use."""
    from data_prep import captions

    images, options = Drawn(folder, 200_000, count, 0.8), captions.SentenceOptions(min_count=1)
    return lambda: captions.prepare("drawn", images, folder / "data", options, with_images=False)


def beam(folder: Path, width: int) -> Callable[[], object]:
    """Eight images described by LRCN-2f of 100 units and 1,000 words, 12 words at most, by a beam of this width."""
    from beam import write_weights

    from data_prep.vocabulary import UNKNOWN
    from lrcn.engine.compute import Compute
    from lrcn.sentences.captioner import Captioner
    from lrcn.sentences.deploy_nets import DeployNets
    from netspecs import catalogue

    sizes = {"units": UNITS, "vocabulary": WORDS, "deploy_streams": 1, "deploy_state": "exposed"}
    net = catalogue.get("caption/lrcn-2f").files(**sizes)["deploy"]
    write_weights(folder / "random.caffemodel", net)
    words = [UNKNOWN, *(f"w{n}" for n in range(2, WORDS))]
    captioner = Captioner(DeployNets(net), folder / "random.caffemodel", words, Compute()).__enter__()
    images = np.random.default_rng(0).normal(0, 2, (8, 1000)).astype(np.float32)
    captioner.beam(images[:1], width, width, 2)
    return lambda: captioner.beam(images, width, width, LENGTH)


def clip_length(folder: Path, frames: int) -> Callable[[], object]:
    """Three training iterations of LRCN-fc6 with a small CNN, 2 clips of so many frames that lie in memory."""
    from lrcn import engine
    from netspecs import catalogue
    from prototxt_gen import caffe_pb2, to_text

    sizes = {"backbone": "tiny", "videos": 2, "frames": frames, "data": "none", "display": 0, "snapshot": 0}
    variant = catalogue.get("activity/lrcn-fc6-rgb")
    files, shapes = variant.files(**sizes), variant.input_shapes(**sizes)["train"]
    solver, net = files["solver"], caffe_pb2.NetParameter(name="lengths")
    net.layer.add(name="data", type="DummyData", top=list(shapes))
    for shape in shapes.values():
        net.layer[0].dummy_data_param.shape.add(dim=shape)
    net.layer.extend(layer for layer in files["train_test"].layer if layer.type != "Python")
    solver.net, solver.test_interval = str(folder / "net.prototxt"), 0
    solver.solver_mode = caffe_pb2.SolverParameter.CPU
    del solver.test_iter[:], solver.test_state[:]
    (folder / "net.prototxt").write_text(to_text(net))
    (folder / "solver.prototxt").write_text(to_text(solver))
    engine.find().activate()
    import caffe

    made = caffe.SGDSolver(str(folder / "solver.prototxt"))
    made.step(1)
    return lambda: made.step(3)


# name -> what it is a function of, its sizes, and what is measured
GROWTH = {
    "preparation": ("videos", VIDEOS, preparation),
    "loading": ("videos", VIDEOS, loading),
    "start": ("videos", VIDEOS, start),
    "evaluation": ("videos", VIDEOS, evaluation),
    "comparison": ("videos", VIDEOS, comparison),
    "captions": ("captions", (10_000, 100_000, 1_000_000), captions),
    "vocabulary": ("words", (1000, 10_000, 100_000), vocabulary),
    "beam": ("beam", (1, 5, 10, 20, 50), beam),
    "clip length": ("frames a clip", (8, 16, 32, 64, 128, 256), clip_length),
}


# ---- points, slopes, plots -----------------------------------------------------------------------------------


class Memory(threading.Thread):
    """Looks every hundredth of a second how much this process, or the largest of its children, takes. most: MiB,
    without pages of files, which the kernel takes back as it needs them: an LMDB that is read or written has many.
    """

    def __init__(self):
        super().__init__(daemon=True)
        self.most, self.ended = 0.0, threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.01):
            children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
            self.most = max(self.most, *map(self._taken, ("self", *children)))

    def _taken(self, process: str) -> float:
        try:
            status = Path(f"/proc/{process}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):  # it has just ended
            return 0.0
        return sum(int(kb) for kb in re.findall(r"Rss(?:Anon|Shmem):\s*(\d+) kB", status)) / 1024


def point(name: str, size: int) -> dict:
    """Measures one, in this process."""
    with tempfile.TemporaryDirectory() as scratch:
        work, memory = GROWTH[name][2](Path(scratch), size), Memory()
        memory.start()
        begun = time.perf_counter()
        work()
        seconds = time.perf_counter() - begun
        memory.ended.set()
        memory.join()
        return {"size": size, "seconds": seconds, "peak": memory.most}


def slope(points: list[dict], key: str) -> float:
    """The exponent between the last two points."""
    (one, other) = points[-2:]
    return math.log(other[key] / one[key]) / math.log(other["size"] / one["size"])


def measure(only: list[str], most: int) -> dict:
    """All points, each in a process of its own; one that fails is told, and left out."""
    from lrcn.results.benchmarks import machine

    document = {"machine": machine(), "growth": {}}
    for name, (of, sizes, _) in GROWTH.items():
        if only and not any(word in name for word in only):
            continue
        points = []
        for size in sizes:
            if of == "videos" and size > most:
                continue
            done = subprocess.run(
                [sys.executable, __file__, "--point", name, str(size)], stdout=subprocess.PIPE, text=True
            )
            if done.returncode == 0:
                points.append(json.loads(done.stdout.splitlines()[-1]))
            print(name, size, points[-1] if done.returncode == 0 else "failed", file=sys.stderr, flush=True)
        slopes = {key: slope(points, key) for key in ("seconds", "peak") if len(points) > 1}
        document["growth"][name] = {"of": of, "slopes": slopes, "points": points}
    return document


def draw(document: dict, out: Path) -> None:
    """A picture of each quantity, growth-NAME.svg: time above, memory below, with a straight line that is linear."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from lrcn.results import palette

    plt.rcParams |= {"svg.hashsalt": "lrcn", "svg.fonttype": "none", "font.size": 9}
    groups: dict[str, list[str]] = {}
    for name, growth in document["growth"].items():
        groups.setdefault(growth["of"], []).append(name)
    for of, names in groups.items():
        figure, (times, memory) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
        for name, colour, marker in zip(names, palette.series(len(names)), "os^Dv"):
            points = document["growth"][name]["points"]
            sizes = [each["size"] for each in points]
            times.plot(sizes, [each["seconds"] for each in points], color=colour, marker=marker, label=name)
            memory.plot(sizes, [each["peak"] for each in points], color=colour, marker=marker, label=name)
        first, last = (document["growth"][names[0]]["points"][at] for at in (0, -1))
        linear = [last["seconds"] * first["size"] / last["size"], last["seconds"]]
        grey = palette.COLOURS["chance"]
        times.plot([first["size"], last["size"]], linear, color=grey, dashes=(1, 2), label="linear")
        times.set(xscale="log", yscale="log", xlabel=of, ylabel="seconds")
        memory.set(xscale="log", xlabel=of, ylabel="MiB at most", ylim=(0, None))
        times.yaxis.set_major_formatter("{x:,g}")
        for plot in times, memory:
            plot.set_xticks(sizes, [f"{size:,}" for size in sizes])
            plot.set_xticks([], minor=True)
            plot.spines[["top", "right"]].set_visible(False)
        figure.legend(*times.get_legend_handles_labels(), frameon=False, loc="outside right upper")
        figure.savefig(out / f"growth-{of.replace(' ', '-')}.svg", metadata={"Date": None})
        plt.close(figure)


def table(document: dict) -> str:
    """The points, as Markdown: a row each, with the slopes from the one before the last to the last."""
    from lrcn.results.benchmarks import number

    lines = ["| what | of | sizes | seconds | MiB at most | slope of time | of memory |", "|" + "---|" * 7]
    for name, growth in document["growth"].items():
        points = growth["points"]
        sizes, peaks = (", ".join(f"{each[key]:,.0f}" for each in points) for key in ("size", "peak"))
        seconds = ", ".join(number(each["seconds"]) for each in points)
        slopes = " | ".join(f"{growth['slopes'][key]:.2f}" for key in ("seconds", "peak"))
        lines.append(f"| {name} | {growth['of']} | {sizes} | {seconds} | {peaks} | {slopes} |")
    machine = document["machine"]
    about = f"{machine['processor']}, {machine['cores']} cores, load {machine['load']:.1f} at the beginning"
    return "\n".join([*lines, "", f"Measured on {about}, {machine['date'][:10]}."])


def write_page(document: dict, docs: Path) -> None:
    """The plots, and the table between the marks of growth.md."""
    draw(document, docs / "pictures")
    page = docs / "growth.md"
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    page.write_text(f"{before}{BEGIN}\n\n{table(document)}\n\n{END}{rest.split(END)[1]}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD", help=f"of {', '.join(GROWTH)}")
    parser.add_argument("--most", type=int, default=VIDEOS[-1], help="videos at most")
    parser.add_argument("--out", type=Path, help="the folder of growth.md and of pictures/")
    parser.add_argument("--draw", type=Path, metavar="FILE.json", help="draw what was printed before")
    parser.add_argument("--point", nargs=2, metavar=("NAME", "SIZE"), help="measure one in this process")
    asked = parser.parse_args()
    if asked.point:
        print(json.dumps(point(asked.point[0], int(asked.point[1]))))
        return
    document = json.loads(asked.draw.read_text()) if asked.draw else measure(asked.only, asked.most)
    if asked.out:
        write_page(document, asked.out)
    else:
        print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
