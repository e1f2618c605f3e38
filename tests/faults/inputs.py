"""The readers of lrcn: of each a right input, which of its files are damaged and how, and the command that reads it."""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from xml.dom import minidom

from tests.faults import seeds, spoken

PREPARE = "--out out --min-count 1 --streams 2 --steps 6"
FRAMES = "--size 20 24 --workers 1 --out out --flow none"
CONTAINERS = {  # suffix -> codec
    ".avi": "MJPG",
    ".mkv": "MJPG",
    ".mp4": "mp4v",
    ".webm": "VP80",
    ".mpg": "mpg1",
    ".flv": "FLV1",
}


Damage = Callable[[Path, list[str], Random], tuple[list[str], str]]  # the arguments then, and in words


@dataclass(frozen=True)
class Reader:
    """make: fills the folder in/ with a right input. files: pattern of the files that are damaged -> how, a name of
    `mutate.KINDS`. command: what reads it, with the folder above in/ as the current one; of several, a line each, a
    case draws one. then: a command that reads
    what the first one wrote, where that is well. right: its exit code on the right input, 2 where it lacks an engine.
    codes: exit codes that it may have. sound: raises where what a call wrote is not whole. own: what it may write in
    in/, as paths begin. mend: makes a damaged input agree with itself again, so that what lies deeper is reached.
    damage: in place of that to files, to their names or the arguments."""

    make: Callable[[Path], None]
    files: Mapping[str, str]
    command: str
    then: str = ""
    right: int = 0
    codes: tuple[int, ...] = (0, 2)
    sound: Callable[[Path], object] = lambda folder: None
    own: tuple[str, ...] = ()
    mend: Callable[[Path], None] = lambda folder: None
    environment: Mapping[str, str] = field(default_factory=dict)
    damage: Damage | None = None

    @property
    def calls(self) -> list[list[str]]:
        return [shlex.split(line) for line in self.command.splitlines()]


def _well_formed(folder: Path) -> None:
    minidom.parse(str(folder / "out.svg"))


def _page(folder: Path) -> None:
    text = (folder / "out.html").read_text(encoding="utf-8")
    assert text.rstrip().endswith("</html>")


def _sign_key(folder: Path) -> None:
    """A key that was changed is known by its digest, and read no further."""
    import json

    from lrcn.sentences import rating_sheet

    try:
        key, answers = (json.loads((folder / "in" / name).read_text()) for name in ("key.json", "answers.json"))
        key["sheet"] = answers["sheet"] = rating_sheet._digest(key)
        (folder / "in/key.json").write_text(json.dumps(key))
        (folder / "in/answers.json").write_text(json.dumps(answers))
    except Exception:
        pass  # it is damaged so much


def _video(suffix: str) -> Reader:
    make = partial(seeds.videos, codec=CONTAINERS[suffix], suffix=suffix)
    command = f"prepare videos --videos in/videos {FRAMES} --fps 30"
    return Reader(make, {f"videos/A/1{suffix}": "video"}, command, "prepare flow --data out --workers 1")


CHECKED = (0, 1, 2)
NETS = {
    "net": Reader(
        seeds.nets,
        {"net.prototxt": "net"},
        "nets show in/net.prototxt --phase TEST --json\nnets check in/net.prototxt\n"
        "nets check in/net.prototxt --lenient\nnets diff in/net.prototxt in/net.prototxt",
        codes=CHECKED,
    ),
    "net-diagram": Reader(
        seeds.nets, {"net.prototxt": "net"}, "nets show in/net.prototxt --diagram out.svg", sound=_well_formed
    ),
    "solver": Reader(
        seeds.nets,
        {"solver.prototxt": "solver"},
        "nets check in/solver.prototxt\nnets show in/solver.prototxt",
        codes=CHECKED,
    ),
    "caffemodel": Reader(
        seeds.nets, {"w.caffemodel": "weights"}, "nets weights in/net.prototxt in/w.caffemodel", codes=CHECKED
    ),
    "caffemodel-hdf5": Reader(
        seeds.nets, {"*.h5": "hdf5"}, "nets weights in/net.prototxt in/w.caffemodel.h5 --json", codes=CHECKED
    ),
    "source-hdf5": Reader(
        seeds.nets, {"0.h5": "hdf5", "files.txt": "text"}, "nets check in/net.prototxt --phase TRAIN", codes=CHECKED
    ),
    "source-lmdb": Reader(
        seeds.lmdb_net, {"data/stills_train1/data.mdb": "lmdb"}, "nets check in/net.prototxt", codes=CHECKED
    ),
    "source-images": Reader(
        seeds.image_net,
        {"*.png": "picture", "images.txt": "text", "mean.binaryproto": "mean"},
        "nets check in/net.prototxt",
        codes=CHECKED,
    ),
    "clip-settings": Reader(
        seeds.clip_net,
        {"nets/*/*/train_test.prototxt": "text", "data/train1.txt": "text", "data/videos.tsv": "text"},
        "nets check in/nets/activity/lrcn-fc6-flow/train_test.prototxt",
        codes=CHECKED,
    ),
    "settings": Reader(seeds.settings, {"c.toml": "text"}, "nets write lm/lstm-lm --config in/c.toml --out out"),
}
VIDEOS = {f"video{suffix}": _video(suffix) for suffix in CONTAINERS} | {
    "video-folders": Reader(
        seeds.frame_folders, {"videos/*/*/*": "picture"}, f"prepare videos --videos in/videos {FRAMES}"
    ),
    "video-lists": Reader(
        seeds.listed_videos,
        {"lists/*": "text"},
        f"prepare videos --videos in/videos --lists in/lists {FRAMES}",
        "prepare flow --data out --workers 1",
    ),
    "ucf101": Reader(
        seeds.ucf101,
        {"lists/*01.txt": "text", "lists/classInd.txt": "text"},
        "prepare ucf101 --videos in/videos --splits in/lists --subset --out out --size 20 24 --workers 1",
        "prepare flow --data out --workers 1",
    ),
    "flow-images": Reader(
        seeds.flow_images,
        {"images/*": "picture"},
        "prepare flow --data in/data --images in/images --workers 1",
        own=("data/flow", "data/dataset.json", "data/stills_"),
    ),
    "frames": Reader(
        seeds.without_flow,
        {"data/frames/data.mdb": "lmdb", "data/*.json": "json", "data/*.t??": "text"},
        "prepare flow --data in/data --workers 1 --algorithm farneback",
        own=("data/flow", "data/dataset.json", "data/stills_"),
    ),
    "stills": Reader(
        seeds.frames,
        {"data/frames/data.mdb": "lmdb", "data/stills_*/stills.json": "json"},
        "prepare stills --data in/data --every 2",
        own=("data/flow", "data/dataset.json", "data/stills_"),
    ),
    "data-set": Reader(
        seeds.frames,
        {"data/*/data.mdb": "lmdb", "data/*.json": "json", "data/stills_*/stills.json": "json", "data/*.t??": "text"},
        "train activity/lrcn-fc6-rgb --data in/data --set backbone=tiny crop=16 --out out --dry-run --from-scratch",
    ),
    "verify": Reader(
        seeds.frames,
        {
            "data/*/data.mdb": "lmdb",
            "data/*.json": "json",
            "data/*/*.json": "json",
            "data/*.t??": "text",
            "data/*/checksums.tsv": "text",
        },
        "verify in/data --workers 1",
        codes=CHECKED,
    ),
    "shards": Reader(
        seeds.shards,
        {"set.shards/*/*.json": "json", "set.shards/*/*/data.mdb": "lmdb"},
        "prepare merge in/set",
        own=("set/", "set.partial/"),
    ),
}
SENTENCES = {
    "captions": Reader(
        seeds.captions,
        {"c.json": "json"},
        f"prepare captions --captions in/c.json --no-images {PREPARE}",
        "train lm/lstm-lm --data out --out runs --dry-run",
    ),
    "captions-csv": Reader(
        seeds.captions, {"c.csv": "text"}, f"prepare captions --captions in/c.csv --no-images {PREPARE}"
    ),
    "captions-images": Reader(
        seeds.captions, {"*.png": "picture"}, f"prepare captions --captions in/c.json {PREPARE} --workers 1"
    ),
    "vocabulary": Reader(
        seeds.captions,
        {"vocabulary.txt": "text"},
        f"prepare captions --captions in/c.json --no-images --vocabulary in/vocabulary.txt {PREPARE}",
    ),
    "coco": Reader(
        seeds.coco,
        {"a.json": "json", "split/*": "text"},
        f"prepare coco --annotations in/a.json --split in/split {PREPARE}",
    ),
    "karpathy": Reader(
        seeds.coco, {"k.json": "json"}, f"prepare coco --annotations in/a.json --split in/k.json {PREPARE}"
    ),
    "flickr30k": Reader(
        seeds.flickr,
        {"t.token": "text", "lists/*": "text"},
        f"prepare flickr30k --tokens in/t.token --split in/lists {PREPARE}",
    ),
    "snippets": Reader(
        seeds.snippets,
        {"s.jsonl": "json lines"},
        f"prepare tacos --snippets in/s.jsonl --partial {PREPARE}",
        "train video/decoder-prob --data out --out runs --dry-run",
    ),
    "snippets-csv": Reader(seeds.snippets, {"s.csv": "text"}, f"prepare tacos --snippets in/s.csv --partial {PREPARE}"),
    "tacos": Reader(
        seeds.snippets,
        {"tacos/index/*": "text", "splits.txt": "text", "slots.jsonl": "json lines"},
        f"prepare tacos --annotations in/tacos --splits in/splits.txt --slots in/slots.jsonl {PREPARE}",
    ),
    "frames-hdf5": Reader(
        seeds.snippets, {"f.h5": "hdf5"}, f"prepare tacos --snippets in/s.jsonl --features in/f.h5 --frames 2 {PREPARE}"
    ),
    "frames-npz": Reader(
        seeds.snippets,
        {"f.npz": "npz"},
        f"prepare tacos --snippets in/s.jsonl --features in/f.npz --frames 2 {PREPARE}",
    ),
    "features": Reader(seeds.features, {"f.npz": "npz"}, "prepare features --npz in/f.npz --out out --videos 2"),
    "features-set": Reader(
        seeds.features_set,
        {"data/*.json": "json", "data/*.txt": "text", "data/*.h5": "hdf5"},
        "evaluate features --data in/data --out runs",
        right=2,
    ),
    "captions-set": Reader(
        seeds.captions_set,
        {"data/*.json": "json", "data/vocabulary.txt": "text", "data/*_*.txt": "text", "data/*/*.h5": "hdf5"},
        "train caption/lrcn-2f --data in/data --set backbone=tiny crop=16 --out out --dry-run --from-scratch",
    ),
    "verify-sentences": Reader(
        seeds.captions_set,
        {"data/*.json": "json", "data/*.txt": "text", "data/*/*.h5": "hdf5"},
        "verify in/data --workers 1",
        codes=CHECKED,
    ),
    "semantics-set": Reader(
        seeds.semantics_set,
        {"data/*.json": "json", "data/*.txt": "text", "data/*.h5": "hdf5"},
        "train video/encoder-decoder-frames --data in/data --out out --dry-run",
    ),
}
RUNS = {
    "verify-run": Reader(
        seeds.run,
        {
            "run/*/*.json": "json",
            "run/*/*.prototxt": "text",
            "run/*/snapshots/*.solverstate": "state",
            "run/*/snapshots/*.caffemodel": "weights",
        },
        "verify in/run",
        right=1,  # its weights are not that net's
        codes=CHECKED,
    ),
    "experiment": Reader(
        seeds.experiment, {"e.toml": "text"}, "train in/e.toml --data in/data --out out --dry-run --no-trial"
    ),
    "run": Reader(
        seeds.run,
        {
            "run/*/*.json": "json",
            "run/*/logs/*": "text",
            "run/*/solver.prototxt": "solver",
            "run/*/snapshots/*.solverstate": "state",
        },
        "watch in/run --once\nanalyze in/run --json\n"
        "train activity/single-frame-flow --data in/data --set backbone=tiny crop=16 --out in/run --dry-run",
    ),
    "run-report": Reader(
        seeds.run,
        {"run/*/*.json": "json", "run/*/logs/*": "text", "run/*/*.prototxt": "text"},
        "report in/run --out out.html",
        sound=_page,
    ),
    "run-classify": Reader(
        seeds.run,
        {
            "run/*/*.json": "json",
            "run/*/*.prototxt": "text",
            "run/*/snapshots/net_iter_40.solverstate": "state",
            "run/*/snapshots/net_iter_40.caffemodel": "weights",
        },
        "classify in/v.avi --run in/run --out out",
        right=2,
    ),
    "log": Reader(seeds.caffe_log, {"caffe.log": "text"}, "analyze in/caffe.log --json --csv out.csv"),
    "results": Reader(
        seeds.results,
        {"*.json": "json"},
        "compare in/r0.json in/r1.json in/c.json\ncompare in/r0.json in/c.json --format latex",
    ),
    "ratings": Reader(
        seeds.ratings,
        {"key.json": "json", "answers.json": "json"},
        "compare in/key.json in/answers.json",
        mend=_sign_key,
    ),
    "report": Reader(
        seeds.outcome, {"*/*.json": "json", "*/*/curve.csv": "text"}, "report in/a in/b --out out.html", sound=_page
    ),
    "generated": Reader(
        seeds.generated,
        {"a.json": "json", "ref.json": "json"},
        "evaluate caption/results --results in/a.json --references in/ref.json --out out",
    ),
    "rating-sheet": Reader(
        seeds.generated,
        {"[ab].json": "json", "ref.json": "json", "*.png": "picture"},
        "evaluate caption/rating-sheet --system a=in/a.json --system b=in/b.json --references in/ref.json --images in"
        " --count 3 --out out",
    ),
    "engine": Reader(
        seeds.engine,
        {"cache/engines/x/engine.json": "json"},
        "caffe info",
        right=2,
        environment={"LRCN_CACHE": "in/cache"},
    ),
    "download": Reader(
        seeds.download,
        {"cache/weights/*.json": "json"},
        "weights fetch caffenet --from http://127.0.0.1:9/x",
        right=2,
        environment={"LRCN_CACHE": "in/cache"},
    ),
    "classes": Reader(
        seeds.classified,
        {"classes.txt": "text", "videos/A/1.avi": "video"},
        "classify in/videos/A/1.avi --net activity/single-frame-rgb --weights in/w.caffemodel --classes in/classes.txt"
        " --set backbone=tiny --out out",
        right=2,
    ),
    "to-caption": Reader(
        seeds.told,
        {"0.png": "picture", "vocabulary.txt": "text"},
        "caption in/0.png --net caption/lrcn-2f --weights in/w.caffemodel --vocabulary in/vocabulary.txt --out out",
        right=2,
    ),
}
SPOKEN = {
    "arguments": Reader(
        spoken.everything, {}, "nets list", codes=CHECKED, own=("data/stills_", "lock"), damage=spoken.other_arguments
    ),
    "names-videos": Reader(
        seeds.videos,
        {},
        f"prepare videos --videos in/videos {FRAMES}",
        "train activity/single-frame-rgb --data out --out runs --dry-run --from-scratch --set backbone=tiny crop=16",
        damage=spoken.other_video_name,
    ),
    "names-data": Reader(
        seeds.frames,
        {},
        "train activity/single-frame-rgb --data in/data --set backbone=tiny crop=16 --out out --dry-run --from-scratch",
        damage=spoken.other_data_name,
    ),
    "names-images": Reader(
        seeds.captions,
        {},
        f"prepare captions --captions in/c.json {PREPARE} --workers 1",
        "train caption/lrcn-2f --data out --set backbone=tiny crop=16 --out runs --dry-run --from-scratch",
        damage=spoken.other_image_name,
    ),
    "names-out": Reader(
        seeds.features, {}, "prepare features --npz in/f.npz --out out --videos 2", damage=spoken.other_out_name
    ),
    "names-runs": Reader(seeds.run, {}, "report in/run --out out.html", damage=spoken.other_run_name),
}
READERS = NETS | VIDEOS | SENTENCES | RUNS | SPOKEN
KINDS = {  # of input, by the part of the tests that tries them -> the readers that share what a test tries
    "nets": {
        "nets": ("net", "net-diagram"),
        "solvers": ("solver",),
        "weights": ("caffemodel", "caffemodel-hdf5"),
        "sources": ("source-hdf5", "source-lmdb", "source-images", "clip-settings"),
        "settings": ("settings",),
        "engines": ("engine", "download"),
    },
    "videos": {
        "videos": tuple(f"video{suffix}" for suffix in CONTAINERS),
        "images": ("video-folders", "flow-images", "captions-images", "to-caption"),
        "lists": ("video-lists", "ucf101", "classes"),
        "data sets": ("frames", "stills", "data-set"),
        "whole folders": ("verify", "verify-sentences", "verify-run"),
        "shards": ("shards",),
    },
    "sentences": {
        "captions": ("captions", "captions-csv"),
        "vocabularies": ("vocabulary",),
        "annotations": ("coco", "karpathy"),
        "tokens": ("flickr30k",),
        "snippets": ("snippets", "snippets-csv", "tacos"),
        "activations": ("features", "frames-hdf5", "frames-npz"),
        "data sets": ("features-set", "captions-set", "semantics-set"),
    },
    "runs": {
        "experiments": ("experiment",),
        "runs": ("run", "run-report", "run-classify"),
        "logs": ("log",),
        "results": ("results", "report"),
        "ratings": ("ratings",),
        "generated captions": ("generated", "rating-sheet"),
    },
    "spoken": {
        "arguments": ("arguments",),
        "names": ("names-videos", "names-data", "names-images", "names-out", "names-runs"),
    },
}
