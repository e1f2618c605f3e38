"""The ILSVRC-2012 nets whose weights the paper's CNNs start from."""

from __future__ import annotations

from dataclasses import dataclass

from lrcn.released.published_file import PublishedFile
from lrcn.released.weights import RELEASES
from netspecs import catalogue
from netspecs.variant import Variant
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


def hint(variant: Variant) -> str:
    """What to try where weights do not fit a net."""
    return " CaffeNet's takes --set backbone=caffenet" if variant.task == "activity" else ""
