"""The ILSVRC-2012 nets whose weights the paper's CNNs start from, and what a file of weights that is given holds."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from lrcn.activity import clip_settings
from lrcn.released.published_file import PublishedFile
from lrcn.released.weights import RELEASES
from lrcn.training.run import TrainError
from lrcn.training.workspace import Training
from netspecs import catalogue
from prototxt_gen import weights as weight_files
from prototxt_gen.shapes import infer


@dataclass(frozen=True)
class Pretrained:
    """An ILSVRC-2012 net that a single-frame net starts from, named as among the released weights."""

    backbone: str
    top1: float

    @property
    def released(self) -> PublishedFile:
        return RELEASES[self.backbone].file

    @property
    def file(self) -> str:
        return self.released.name

    @property
    def sha1(self) -> str | None:
        """None where none was ever published."""
        return self.released.checksums.get("SHA-1")

    def describe(self) -> str:
        variant = catalogue.get("activity/single-frame-rgb")
        net = variant.files(backbone=self.backbone, classes=1000)["deploy"]
        megabytes = round(4 * infer(net, "TEST").parameters / 1e6)
        check = f"SHA-1 {self.sha1}" if self.sha1 else "no checksum was published"
        return (
            f"{self.file}: {self.backbone}, {self.top1} % top-1, about {megabytes} MB (4 bytes for each of its "
            f"weights), {check}; `lrcn weights fetch {self.backbone}`, then --weights {self.backbone}"
        )


HYBRID = Pretrained("hybrid", 60.2)
CAFFENET = Pretrained("caffenet", 57.4)

NEEDED = (
    "it starts from ILSVRC-2012 weights: give --weights FILE (the paper's: "
    f"`lrcn weights fetch {HYBRID.backbone}`, then --weights {HYBRID.backbone}), or --from-scratch for random ones; "
    "--dry-run says more"
)


def needed_weights() -> list[str]:
    """What can be given as --weights, and what follows, a line each."""
    return [
        "weights to start from, fetched by name, or put anywhere and given as --weights FILE:",
        f"  the paper's   {HYBRID.describe()}",
        f"  in its place  {CAFFENET.describe()};",
        f"                with --set backbone=caffenet: another net than the paper's, "
        f"{HYBRID.top1 - CAFFENET.top1:.1f} points below it on ILSVRC-2012, so expect less of Table 1",
        "  none          --from-scratch: random weights; no number of the paper's is of such nets",
    ]


def weights_for(path: Path, training: Training) -> list[str]:
    """What the file of weights is, and which of its layers the net of a training starts with, a line each. TrainError
    where it holds none that fits."""
    variant, files = training.variant, training.files
    size, sha1 = Path(path).stat().st_size, hashlib.sha1()
    with open(path, "rb") as file:
        while piece := file.read(1 << 22):
            sha1.update(piece)
    filled = weight_files.plan(
        files["train_test"],
        weight_files.read_weights(path),
        "TRAIN",
        files["solver"].train_state.stage,
        inputs=variant.input_shapes(**training.settings)["train"],
        python=clip_settings.top_shapes,
    )
    layers = {
        status: [entry.layer for entry in filled.entries if entry.status == status]
        for status in (weight_files.COPIED, weight_files.AFRESH, weight_files.CLASH)
    }
    hint = " CaffeNet's takes --set backbone=caffenet" if variant.task == "activity" else ""
    if not layers[weight_files.COPIED]:
        raise TrainError(f"{path}: holds no layer that fits {variant.name}; is it another backbone's?{hint}")
    which = f", BVLC's {CAFFENET.file}" if sha1.hexdigest() == CAFFENET.sha1 else ""
    lines = [
        f"weights: {path}: {size / 1e6:.1f} MB, SHA-1 {sha1.hexdigest()}{which}",
        f"  {variant.name} takes {', '.join(layers[weight_files.COPIED])}",
    ]
    clashing = layers[weight_files.CLASH]
    afresh = layers[weight_files.AFRESH] + [f"{name} (of another shape in the file)" for name in clashing]
    if afresh:
        lines.append(f"  and starts afresh with {', '.join(afresh)}")
    if clashing:
        lines.append(f"  layers of another shape mean another backbone or other sizes{hint and ':' + hint}")
    return lines
