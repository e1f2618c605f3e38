"""A trained net, from a run's folder or a .caffemodel from anywhere: what activity recognition and description take."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from data_prep import DataError
from lrcn.engine import blas
from netspecs import catalogue
from netspecs.variant import Variant
from prototxt_gen import SpecError
from prototxt_gen.caffe_pb2 import NetParameter
from prototxt_gen.shapes import infer
from prototxt_gen.weights import AFRESH, Entry, check_finite, plan, read_weights

# Layers whose first blob has a row for each class, or for each word and the end of a sentence.
CLASSIFIERS, WORDS = ("fc8-ucf", "fc8-final"), ("predict", "embedding")
ONCE = 1 << 20  # bytes of a file from which on it is read once for its digest, as long as it stays as it is


@dataclass(frozen=True)
class TrainedNet:
    """A variant with its settings and weights (.caffemodel).

    folder: where what is computed with it is kept. classes: of activity recognition, in the order of labels.
    vocabulary: the file of the words that it says. fps, flow: of the videos that it was trained on, as their
    dataset.json has them; None where all frames were taken, and where there was no flow. training: which of a
    captioner's trainings it comes from; None for nets that have one only, and for weights that come without a run.
    seed: of its training, where that is known. algorithms: the file of its run in which a GPU's algorithms are kept.
    devices: what it was trained on, where that is known, as the run's `devices`.
    """

    variant: Variant
    settings: Mapping[str, Any]
    weights: Path
    folder: Path
    classes: Sequence[str] = ()
    vocabulary: Path | None = None
    fps: float | None = None
    flow: Mapping[str, Any] | None = None
    training: str | None = None
    seed: int | None = None
    algorithms: Path | None = None
    devices: Sequence[Mapping[str, Any]] = ()

    @classmethod
    def of_file(
        cls,
        name: str,
        weights: Path,
        folder: Path,
        settings: Mapping[str, Any] | None = None,
        classes: Sequence[str] = (),
        vocabulary: Path | None = None,
    ) -> TrainedNet:
        """The net `name` of the catalogue with weights from anywhere: the authors', say. settings: other than the
        published ones; the number of classes follows from `classes`. SpecError, one line, where the weights are not of
        this net."""
        variant = catalogue.get(name)
        sizes = {"classes": len(classes)} if classes else {}
        net = cls(variant, variant.settings(**dict(settings or {}) | sizes), Path(weights), folder, classes, vocabulary)
        if classes:
            check_whole([variant.files(**net.settings)["deploy"]], net.weights, len(classes))
        return net

    @property
    def row(self) -> str:
        """Its row in a table: a captioner's is LRCN-2f where it is fine-tuned, as the paper's; after another training
        lrcn-2f-train and the like."""
        return self.variant.row + ("" if self.training in ("finetune", None) else f"-{self.training}")


def name_of(folder: Path) -> str:
    """What a run is called where several splits are at work: "lrcn-fc6-rgb", of split 2 "split2/lrcn-fc6-rgb"."""
    split = folder.absolute().parent.name
    return f"{split}/{folder.name}" if re.fullmatch(r"split[1-9]\d*", split) else folder.name


def digest(path: Path) -> str:
    """SHA-256 of a file of weights. SpecError where it cannot be read."""
    try:
        stat = os.stat(path)
        if stat.st_size < ONCE:
            return _sha256(path)
        return _digest(os.path.abspath(path), stat.st_size, stat.st_mtime_ns, stat.st_ino)
    except OSError as error:
        raise SpecError(f"{path}: {error.strerror}; --weights takes a .caffemodel") from None


@lru_cache(64)
def _digest(path: str, *_changed: int) -> str:
    return _sha256(path)


def _sha256(path: str | Path) -> str:
    content = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 22):
            content.update(piece)
    return content.hexdigest()


def check_same(weights: Path, due: str) -> None:
    """Errors: DataError where a file of weights is not that of this `digest`, taken on another machine."""
    try:
        same = digest(weights) == due
    except SpecError as error:
        raise DataError(f"{error}; weights must lie under the same path everywhere") from None
    if not same:
        raise DataError(f"{weights}: is not the same as where the work is given out; bring the same there")


def files_of(nets: Sequence[TrainedNet]) -> dict[str, dict[str, str]]:
    """{net: {"file", "sha256"}} of weights that no run made."""
    return {
        net.variant.short_name: {"file": str(net.weights), "sha256": digest(net.weights)}
        for net in nets
        if net.seed is None
    }


def trained_on(nets: Sequence[TrainedNet]) -> dict[str, list[Mapping[str, Any]]]:
    """{net: what it was trained on} of those of which it is known."""
    return {net.folder.name: [*net.devices] for net in nets if net.devices}


def threads_of(net: TrainedNet) -> int:
    """Of the BLAS, on the CPU: as many as pay for its deploy nets."""
    files = net.variant.files(**net.settings)
    return blas.threads_for(infer(message, "TEST") for name, message in files.items() if name.startswith("deploy"))


def check_filled(nets: Sequence[NetParameter], weights: Path, outputs: int | None = None) -> None:
    """Refuses a .caffemodel that does not fill every layer of these deploy nets, or holds what is no number. outputs:
    how many classes there are, or words with the end of a sentence. SpecError, one line."""
    file = read_weights(weights)
    for net in nets:
        filling = plan(net, file, "TEST")
        for entry in filling.clashes:
            raise SpecError(f"{weights}: {_of_other_outputs(entry, outputs) or _unfit(net, entry)}")
        missing = [entry.layer for entry in filling.entries if entry.status == AFRESH]
        if missing:
            raise SpecError(
                f"{weights}: has no weights for {', '.join(missing)} of {net.name}; give the .caffemodel "
                "that was trained for this net"
            )
    check_finite(weights)


def check_whole(nets: Sequence[NetParameter], weights: Path, outputs: int | None = None) -> None:
    """As `check_filled`, of all nets that are made of these weights: refuses a deeper net's, which would fill these but
    say something else."""
    check_filled(nets, weights, outputs)
    layers = {layer.name for net in nets for layer in net.layer}
    others = [name for name, blobs in read_weights(weights).layers if blobs and name not in layers]
    above_fc6 = ("fc7",) if "fc6" in layers else ()  # of LRCN-fc7, whose LSTM and classifier fit LRCN-fc6
    if others := [name for name in others if name.startswith("lstm") or name in above_fc6]:
        raise SpecError(f"{weights}: holds {', '.join(others)}, which {nets[0].name} has not; name the net it is of")


def _unfit(net: NetParameter, entry: Entry) -> str:
    return f"does not fit {net.name}: layer '{entry.layer}': {entry.why}; --set gives the net other sizes"


def _of_other_outputs(entry: Entry, outputs: int | None) -> str | None:
    """That a net was trained for other classes or words than there are, where that is what a clash comes from."""
    first = entry.file[0] if entry.file else None
    if first is None or len(first) < 2 or first[-2] == outputs:
        return None
    if entry.layer in WORDS and outputs:
        words = first[-2] - 1
        return f"made for a vocabulary of {words} words and the end of a sentence; this one has {outputs - 1} words"
    if entry.layer in CLASSIFIERS:
        return f"made for {first[-2]} classes; here there are {outputs}"
    return None
