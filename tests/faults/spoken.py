"""Names of files, and arguments, that nobody would choose: what the command line is told, and where its inputs lie."""

import os
import shlex
from pathlib import Path
from random import Random

from tests.faults import mutate, seeds

NAMES = [
    *(
        "a\nb",
        "a\tb",
        " a",
        "a ",
        "-a",
        "--out",
        "#a",
        "%s%n",
        "a,b",
        "a;b",
        "a=b",
        "a:b",
        "'",
        '"',
        "a\\b",
        "*",
        "[a]",
    ),
    *(
        "$HOME",
        "a&b",
        "a|b",
        "<b>",
        "{{7*7}}",
        "a'b\"c",
        "\x1b[31m",
        "\x7f",
        "\x01",
        "a\x0cb",
        "a\x1cb",
        "a\x85b",
        "a\x9bb",
    ),
    *(
        "a\u2028b",
        "a\u2029b",
        "a\u202eb",
        "\ufeffa",
        "e\u0301",
        "é",
        "\U0001f389",
        "गाजर",
        "a" * 200,
        "0",
        "1e5",
        "nan",
    ),
    *("n\udcff", "\udcc3(", "\udced\udca0\udc80", "None", "...", "a.b.c", "lock", "frames", "classes", "a\rb", "²"),
]
BAD = set("/~")  # in arguments: whatever is written stays below the case's own folder
WORDS = [word for word in mutate.WORDS if not BAD & set(word) and ".." not in word and len(word) < 1000]
WORDS = [word for word in WORDS if "\0" not in word and "\ud800" not in word] + [
    "--help",
    "--version",
    "--json",
    "--no",
]
NUMBERS = [number for number in mutate.NUMBERS if len(number) < 1000]
SET = "--set backbone=tiny crop=16"
CALLS = [
    "nets show lm/lstm-lm --set units=12 embedding=7 --json",
    "nets show in/net.prototxt --phase TEST --level 0 --input data=2,3,8,8 --stage x",
    "nets show activity/lrcn-fc6-rgb --part deploy --set videos=2 frames=3",
    "nets explain caption/lrcn-2f units --set stage=finetune",
    "nets list lm/lstm-lm --task lm",
    "nets write lm/lstm-lm activity/single-frame-rgb --out out --set units=12 base_lr=0.1 --explain",
    "nets check in/net.prototxt in/solver.prototxt --phase TRAIN --stage x --json",
    "nets diff in/net.prototxt in/solver.prototxt --lenient",
    "nets weights in/net.prototxt in/w.caffemodel --json",
    "compare in/r0.json in/r1.json --format latex",
    "analyze in/run --csv out.csv",
    "watch in/run --once",
    "report in/run --out out.html",
    "experiments show demo",
    "data list ucf101",
    "weights list --json",
    "caffe info --json",
    "bench --list",
    "prepare features --npz in/f.npz --out out --videos 2",
    "prepare captions --captions in/c.json --no-images --out out --min-count 1 --streams 2 --steps 6 --file-rows 100",
    "prepare videos --videos in/videos --out out --size 20 24 --fps 10 --every 2 --flow none --seed 1",
    "prepare merge out",
    "prepare stills --data in/data --every 2 --seed 3",
    "evaluate caption/results --results in/a.json --references in/ref.json --out out --name x --tokens plain",
    "evaluate caption/rating-sheet --system a=in/a.json --system b=in/b.json --images in --count 3 --parts 1 --out out",
    f"train activity/lrcn-fc6-rgb --data in/data --out out --dry-run --from-scratch --seed 3 --split 1 --keep 2 {SET}",
    f"train activity/table1 --data in/data --out out --dry-run --no-trial --rows lrcn-fc6 --jobs 1 {SET}",
    "sample --weights in/w.caffemodel --vocabulary in/vocabulary.txt --samples 2 --temperature 1 --length 5",
]  # fmt: skip


def everything(folder: Path) -> None:
    """What the calls name."""
    for make in (seeds.run, seeds.nets, seeds.features, seeds.captions, seeds.videos, seeds.generated, seeds.results):
        make(folder)
    seeds.captions(folder)


def other_arguments(folder: Path, _, random: Random) -> tuple[list[str], str]:
    """A call with a word or two changed, left out, doubled or put in."""
    arguments = shlex.split(random.choice(CALLS))
    for _ in range(random.choice([1, 1, 2])):
        at = random.randrange(len(arguments))
        what = random.choice(["value", "value", "value", "drop", "double", "insert", "part"])
        name, equals, value = arguments[at].partition("=")
        if what == "drop":
            del arguments[at]
        elif what == "double":
            arguments.insert(at, arguments[at])
        elif what == "insert":
            arguments.insert(at, random.choice(WORDS))
        elif what == "part":
            arguments[at] = arguments[at][: random.randrange(len(arguments[at]) + 1)]
        elif equals:
            kinds = [mutate.JSON_VALUES[:30], NUMBERS, WORDS]
            arguments[at] = (
                f"{name}={random.choice([v for v in random.choice(kinds) if len(v) < 5000 and '/' not in v])}"
            )
        else:
            arguments[at] = random.choice(random.choice([WORDS, NUMBERS]))
        if not arguments:
            break
    return arguments, shlex.join(arguments)


def _rename(path: Path, random: Random) -> Path:
    name = random.choice(NAMES)
    other = Path(os.fsdecode(os.fsencode(path.parent) + b"/" + os.fsencode(name + path.suffix)))
    path.rename(other)
    return other


def other_video_name(folder: Path, arguments, random: Random) -> tuple[list[str], str]:
    """A video, or a class of them, called otherwise."""
    chosen = random.choice(["videos/A/1.avi", "videos/A/2.avi", "videos/A", "videos"])
    other = _rename(folder / "in" / chosen, random)
    if chosen == "videos":
        arguments = [f"in/{other.name}" if each == "in/videos" else each for each in arguments]
    return arguments, repr(other.name)


def other_data_name(folder: Path, arguments, random: Random) -> tuple[list[str], str]:
    other = _rename(folder / "in/data", random)
    return [f"in/{other.name}" if each == "in/data" else each for each in arguments], repr(other.name)


def other_image_name(folder: Path, arguments, random: Random) -> tuple[list[str], str]:
    """An image of captions, called otherwise in the captions too."""
    other = _rename(folder / "in/0.png", random)
    path = folder / "in/c.json"
    path.write_bytes(path.read_bytes().replace(b'"0.png"', mutate.encode(_quoted(other.name))))
    return arguments, repr(other.name)


def _quoted(text: str) -> str:
    escaped = "".join(f"\\u{ord(c):04x}" if c < " " else "\\" * (c in '"\\') + c for c in text)
    return f'"{escaped}"'


def other_out_name(folder: Path, arguments, random: Random) -> tuple[list[str], str]:
    name = random.choice([name for name in NAMES if name not in ("--out",)])
    return [
        f"./{name}{'.html' if each == 'out.html' else ''}" if each.startswith("out") else each for each in arguments
    ], repr(name)


def other_run_name(folder: Path, arguments, random: Random) -> tuple[list[str], str]:
    """A run, or the net in it, called otherwise."""
    if random.random() < 0.5:
        return arguments, repr(_rename(folder / "in/run/single-frame-flow", random).name)
    other = _rename(folder / "in/run", random)
    return [f"in/{other.name}" if each == "in/run" else each for each in arguments], repr(other.name)
