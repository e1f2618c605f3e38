"""The ILSVRC-2012 nets whose weights the paper's CNNs start from."""

from __future__ import annotations

from dataclasses import dataclass

from netspecs import catalogue
from netspecs.variant import Variant
from prototxt_gen.shapes import infer


@dataclass(frozen=True)
class Pretrained:
    """An ILSVRC-2012 net that a single-frame net starts from. sha1: None where none was ever published."""

    file: str
    backbone: str
    where: str
    sha1: str | None
    top1: float

    def describe(self) -> str:
        variant = catalogue.get("activity/single-frame-rgb")
        net = variant.files(backbone=self.backbone, classes=1000)["deploy"]
        megabytes = round(4 * infer(net, "TEST").parameters / 1e6)
        check = f"SHA-1 {self.sha1}" if self.sha1 else "no checksum was published"
        return (
            f"{self.file}: {self.backbone}, {self.top1} % top-1, about {megabytes} MB (4 bytes for each of its "
            f"weights), {check}; {self.where}"
        )


HYBRID = Pretrained(
    "caffe_imagenet_hyb2_wr_rc_solver_sqrt_iter_310000",
    "hybrid",
    "linked from the page that the authors' release names (LRCN_video)",
    None,
    60.2,
)
CAFFENET = Pretrained(
    "bvlc_reference_caffenet.caffemodel",
    "caffenet",
    "named in models/bvlc_reference_caffenet of BVLC Caffe",
    "4c8d77deb20ea792f84eb5e6d0a11ca0a8660a46",
    57.4,
)

NEEDED = (
    f"it starts from ILSVRC-2012 weights: give --weights FILE (the paper's: {HYBRID.file}), or --from-scratch "
    "for random ones; --dry-run says more"
)


def needed_weights() -> list[str]:
    """What can be given as --weights, and what follows, a line each."""
    return [
        "weights to start from, put anywhere and given as --weights FILE:",
        f"  the paper's   {HYBRID.describe()}",
        f"  in its place  {CAFFENET.describe()};",
        f"                with --set backbone=caffenet: another net than the paper's, "
        f"{HYBRID.top1 - CAFFENET.top1:.1f} points below it on ILSVRC-2012, so expect less of Table 1",
        "  none          --from-scratch: random weights; no number of the paper's is of such nets",
    ]


def hint(variant: Variant) -> str:
    """What to try where weights do not fit a net."""
    return " CaffeNet's takes --set backbone=caffenet" if variant.task == "activity" else ""
