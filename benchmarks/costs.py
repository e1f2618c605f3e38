"""What UCF-101, COCO and Kinetics-700 take in hours, disk and money, worked out from measured rates.

    python benchmarks/costs.py                      # the tables, as Markdown
    python benchmarks/costs.py --write docs/costs.md    # into the page, between its marks

Rates, prices and machines are in costs.toml, each with where it comes from; everything else here is arithmetic.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.whole_files import write_text
from lrcn.results.tables import duration
from netspecs import catalogue

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

INPUTS = Path(__file__).with_name("costs.toml")
BEGIN, END = "<!-- costs.py writes from here -->", "<!-- to here -->"
MACHINES, GPUS = (1, 8, 64), (1, 8)
FPS, CROPS = 30, 10


@dataclass(frozen=True)
class Videos:
    """A data set of videos. train, test: of them, in each of `splits`; others are prepared too. seconds: of all."""

    name: str
    seconds: float
    train: int
    test: int
    others: int = 0
    splits: int = 1

    @property
    def frames(self) -> float:
        return self.seconds * FPS

    @property
    def a_video(self) -> float:
        """Frames of one, in the mean."""
        return self.frames / (self.train + self.test + self.others)


# Soomro et al. 2012, Table 3: 13,320 videos, 1,600 minutes. The official split 1; the others are about as large.
UCF101 = Videos("UCF-101", 1600 * 60, 9537, 3783, splits=3)
# Carreira et al. 2019: 650,317 clips of 10 s, of which those for training, validation (tested on here) and testing
KINETICS = Videos("Kinetics-700", 10.0 * 650_317, 545_317, 35_000, 70_000)
IMAGES, CAPTIONS = 123_287, 616_767  # COCO 2014, train and val


@dataclass(frozen=True)
class Inputs:
    """costs.toml: prices, machines, and rates without what is said of them."""

    prices: dict[str, float]
    machines: dict[str, float]
    rates: dict[str, float]
    said: dict[str, list[Any]]

    @classmethod
    def read(cls, path: Path = INPUTS) -> Inputs:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        said = content["rates"]
        return cls(content["prices"], content["machines"], {name: row[0] for name, row in said.items()}, said)


# ---- preparation: core-hours, images written, bytes ----------------------------------------------------------


@dataclass(frozen=True)
class Preparation:
    """cores: core-hours of decoding, flow and checks. images, bytes: of the data set, which one process writes;
    still_images, still_bytes: written once more, by one process, from what is there."""

    cores: float
    images: float
    bytes: float
    still_images: float = 0.0
    still_bytes: float = 0.0
    alone: float = 0.0

    def hours(self, machines: int, given: Inputs, shards: bool) -> tuple[float, str]:
        """Hours, and what takes most of them: on one machine, or by `--executor dask`, where one process writes while
        the machines compute; or by `--shard`, each written by its own machine, and `merge`, which writes them once
        more."""

        def moved(images: float, size: float) -> tuple[float, str]:
            process = images / given.rates["writer"] / 3600
            return max((process, "the process that writes"), (size / given.machines["network"] / 3.6e9, "storage"))

        computing = self.cores / (machines * given.machines["cores"]), "cores"
        if shards:
            apart = moved(self.images / machines, self.bytes)
            steps = [max(computing, apart), moved(self.images, 2 * self.bytes)]
        else:
            steps = [max(computing, moved(self.images, self.bytes))]
        steps += [moved(self.still_images, 2 * self.still_bytes), (self.alone, "the process that writes")]
        by_cause: dict[str, float] = {}
        for hours, cause in steps:
            by_cause[cause] = by_cause.get(cause, 0.0) + hours
        return sum(by_cause.values()), max(by_cause, key=lambda cause: by_cause[cause])


def of_videos(data: Videos, given: Inputs) -> Preparation:
    """Frames, flow, and the stills of each split."""
    rates, frames, stills = given.rates, data.frames, data.splits * data.frames
    cores = (frames / rates["frames"] + frames / rates["flow"]) / 3600
    size = frames * (rates["rgb_bytes"] + rates["flow_bytes"])
    return Preparation(cores, 2 * frames, size, stills, stills * rates["rgb_bytes"])


def of_coco(given: Inputs) -> Preparation:
    """Images are checked, and stay where they are; captions are written."""
    rates = given.rates
    captions = CAPTIONS / rates["captions"] / 3600
    return Preparation(IMAGES / rates["images"] / 3600, 0.0, CAPTIONS * rates["caption_bytes"], alone=captions)


# ---- training and testing: GPU-hours -------------------------------------------------------------------------


def trainings(data: Videos, given: Inputs) -> list[list[float]]:
    """GPU-hours of the nets of Table 1, in chains: what starts from another comes after it. Iterations: the released
    ones on a split of UCF-101; of a larger data set more, so that each video is seen as often."""
    rates, chains = given.rates, []
    for modality in "rgb", "flow":
        single, fc6, fc7 = (
            catalogue.get(f"activity/{net}-{modality}").defaults["max_iter"] * data.train / UCF101.train / 3600
            for net in ("single-frame", "lrcn-fc6", "lrcn-fc7")
        )
        chains += data.splits * [[single * rates["single"], fc6 * rates["lrcn"]], [fc7 * rates["lrcn"]]]
    return chains


def testing(data: Videos, given: Inputs) -> float:
    """GPU-hours: the ten crops of each frame through three nets a modality, once each."""
    return data.splits * 6 * data.test * data.a_video * CROPS / given.rates["crops"] / 3600


def gpu_hours(data: Videos, gpus: int, given: Inputs) -> tuple[float, float]:
    """Hours on so many GPUs, and GPU-hours paid. Nets that do not wait for each other go side by side, a GPU each; or,
    where that is quicker, GPUs share the nets' batches."""
    chains = trainings(data, given)
    total = sum(map(sum, chains)) + testing(data, given)
    if gpus == 1:
        return total, total
    side_by_side = max(total / gpus, max(map(sum, chains)))
    sharing = total / (gpus * given.machines["sharing"])
    hours = min(side_by_side, sharing)
    return hours, hours * gpus


def of_captioner(given: Inputs) -> float:
    """GPU-hours of LRCN-2f: its LSTMs, then all of it."""
    net = catalogue.get("caption/lrcn-2f")
    stages = {"frozen": "train", "finetune": "finetune"}
    return sum(net.settings(stage=stage)["max_iter"] * given.rates[rate] for rate, stage in stages.items()) / 3600


# ---- the page ------------------------------------------------------------------------------------------------


def money(dollars: float) -> str:
    return f"${dollars:,.0f}" if dollars >= 10 else f"${dollars:.2f}"


def size(count: float) -> str:
    return f"{count / 1e12:.1f} TB" if count >= 1e12 else f"{count / 1e9:.1f} GB"


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def page(given: Inputs) -> str:
    """The tables, as Markdown."""
    sets = [(data.name, of_videos(data, given)) for data in (UCF101, KINETICS)]
    sets.insert(1, ("COCO", of_coco(given)))
    parts = [_disk(sets, given), _preparing(sets, given), _training(given), _bottlenecks(sets, given), _rates(given)]
    return "\n\n".join(parts)


def _disk(sets: Sequence[tuple[str, Preparation]], given: Inputs) -> str:
    rows = []
    for name, of in sets:
        total = of.bytes + of.still_bytes
        a_month = total / 1e12 * given.prices["terabyte_month"]
        rows.append([name, size(of.bytes), size(of.still_bytes), size(total), money(a_month)])
    return "**Disk**\n\n" + table(["data set", "prepared", "stills", "together", "a month"], rows)


def _preparing(sets: Sequence[tuple[str, Preparation]], given: Inputs) -> str:
    rows = []
    for name, preparation in sets:
        for machines in MACHINES:
            row = [name, str(machines)]
            for shards in (False, True):
                if shards and (machines == 1 or not preparation.images):
                    row += ["-", "-", "-"]
                    continue
                hours, cause = preparation.hours(machines, given, shards)
                row += [duration(3600 * hours), cause, money(hours * machines * given.prices["machine_hour"])]
            rows.append(row)
    titles = ["data set", "machines", "dask", "most of it", "costs", "shards, merged", "most of it", "costs"]
    return "**Preparation**\n\n" + table(titles, rows)


def _training(given: Inputs) -> str:
    price, rows = given.prices["gpu_hour"], []
    for data in UCF101, KINETICS:
        for gpus in GPUS:
            hours, paid = gpu_hours(data, gpus, given)
            splits = f", {data.splits} splits" if data.splits > 1 else ""
            rows.append([f"{data.name}, Table 1{splits}", str(gpus), duration(3600 * hours), money(paid * price)])
    for gpus in GPUS:
        hours = of_captioner(given) / (1 if gpus == 1 else gpus * given.machines["sharing"])
        rows.append(["COCO, LRCN-2f", str(gpus), duration(3600 * hours), money(hours * gpus * price)])
    return "**Training and testing**\n\n" + table(["what", "GPUs", "time", "costs"], rows)


def _bottlenecks(sets: Sequence[tuple[str, Preparation]], given: Inputs) -> str:
    """Of each pair of machines and GPUs, what takes longest."""
    rows = []
    for name, preparation in sets:
        data = {"UCF-101": UCF101, "Kinetics-700": KINETICS}.get(name)
        for gpus in GPUS:
            hours = gpu_hours(data, gpus, given)[0] if data else of_captioner(given)
            cells = []
            for machines in MACHINES:
                prepared, cause = min(preparation.hours(machines, given, shards) for shards in (False, True))
                of_all = prepared / (prepared + hours)
                what = f"preparation: {cause}" if prepared > hours else "GPUs"
                cells.append(f"{what} (preparation {100 * of_all:.0f} %)")
            rows.append([name, str(gpus), *cells])
    titles = ["data set", "GPUs", *(f"{machines} machine{'s' * (machines > 1)}" for machines in MACHINES)]
    frames, rates = 16 * 24 / given.rates["lrcn"], given.rates
    wanted = [
        f"{n * frames / rates['loader']:.0f} cores and {n * frames * rates['rgb_bytes'] / 1e6:,.0f} MB/s" for n in GPUS
    ]
    reading = (
        f"While an LRCN trains, a GPU wants {frames:,.0f} frames a second: {wanted[0]} of JPEG; {GPUS[1]} GPUs want "
        f"{wanted[1]}. The storage is assumed to give {given.machines['network']:,.0f} MB/s."
    )
    return "**What takes longest**\n\n" + table(titles, rows) + "\n\n" + textwrap.fill(reading, 110)


def _rates(given: Inputs) -> str:
    rows = [[name, f"{value:,}", unit, source] for name, (value, unit, source) in given.said.items()]
    return "**Rates**\n\n" + table(["rate", "", "", "measured"], rows)


def written(content: str, given: Inputs) -> str:
    """The page with its tables made anew."""
    before, rest = content.split(BEGIN)
    return f"{before}{BEGIN}\n\n{page(given)}\n\n{END}{rest.split(END)[1]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=Path, default=INPUTS, help="rates, prices and machines in place of costs.toml")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="a page with the marks between which the tables go")
    asked = parser.parse_args()
    given = Inputs.read(asked.inputs)
    if asked.write:
        write_text(asked.write, written(asked.write.read_text(encoding="utf-8"), given))
    else:
        print(page(given))


if __name__ == "__main__":
    main()
