"""Weights that others released: which they are, where they lie, what they fit; fetched by name into the cache.

Addresses, sizes and checksums are as their publishers, or those who are named in a `note`, give them; what nobody gives
is not published, and stands here as that.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_prep import DataError
from data_prep.whole_files import write_text
from lrcn.engine import cache
from lrcn.engine.container import WEIGHTS
from lrcn.released.download import Report, fetch
from lrcn.released.published_file import NOT_PUBLISHED, PublishedFile, digests, in_words
from prototxt_gen import SpecError, nearest
from prototxt_gen.weights import read_weights

LISA_ANNE = "https://people.eecs.berkeley.edu/~lisa_anne"
ACTIVITY_PAGE = f"{LISA_ANNE}/LRCN_video_weights.html"
ON_PAGE = "the page links to it; the address of the file itself we have not seen"


@dataclass(frozen=True)
class Release:
    """A file of weights. whole: the variants that it fills, trained, in training and in deployment; starts: those whose
    training starts from it; settings: with which they do. page: where its publisher tells of it."""

    name: str
    about: str
    file: PublishedFile
    page: str
    licence: str = NOT_PUBLISHED
    whole: tuple[str, ...] = ()
    starts: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """Where it is put, and found."""
        return folder() / f"{self.name}.caffemodel"

    @property
    def size_in_words(self) -> str:
        return "size not published" if self.file.size is None else in_words(self.file.size)

    def describe(self) -> str:
        """All that is known of it, a line each."""
        with_settings = "".join(f", --set {name}={value}" for name, value in self.settings.items())
        lines = {
            **self.file.describe(),
            "page": self.page,
            "licence": self.licence,
            "fills": f"{', '.join(self.whole)}{with_settings}; whole, in training and deployment" if self.whole else "",
            "starts": f"the training of {', '.join(self.starts)}{with_settings}" if self.starts else "",
            "here": str(self.path) if self.path.is_file() else f"no; {self._mend()}",
        }
        return "\n".join(
            [f"{self.name}: {self.about}", *(f"  {name:<9} {text}" for name, text in lines.items() if text)]
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "about": self.about,
            **self.file.as_json(),
            "page": self.page,
            "licence": self.licence,
            "fills": list(self.whole),
            "starts": list(self.starts),
            "settings": dict(self.settings),
            "path": str(self.path),
            "here": self.path.is_file(),
        }

    def _mend(self) -> str:
        by_hand = f"put the file at {self.path}"
        if self.file.address:
            return f"`lrcn weights fetch {self.name}`, or {by_hand}"
        return f"{by_hand}, or `lrcn weights fetch {self.name} --from URL`"


def _activity(modality: str, row: str, file: PublishedFile) -> Release:
    """One of the authors' four nets of activity recognition, UCF-101's split 1."""
    single = row == "single-frame"
    return Release(
        f"{row}-{modality}",
        f"the authors' {'single-frame net' if single else 'LRCN'} on {modality}, trained on UCF-101",
        file,
        ACTIVITY_PAGE,
        whole=(f"activity/{row}-{modality}",),
        starts=tuple(f"activity/{each}-{modality}" for each in ("lrcn-fc6", "lrcn-fc7")) if single else (),
    )


RELEASES = {
    release.name: release
    for release in [
        Release(
            "caffenet",
            "BVLC's reference CaffeNet, ILSVRC-2012, 57.4 % top-1",
            PublishedFile(
                "bvlc_reference_caffenet.caffemodel",
                "http://dl.caffe.berkeleyvision.org/bvlc_reference_caffenet.caffemodel",
                243862418,
                {
                    "SHA-1": "4c8d77deb20ea792f84eb5e6d0a11ca0a8660a46",
                    "SHA-256": "472d4a06035497b180636d8a82667129960371375bd10fcb6df5c6c7631f25e0",
                },
                "SHA-1: its publisher; size: OpenVINO's Open Model Zoo; SHA-256: Homebrew, nixpkgs",
            ),
            "https://github.com/BVLC/caffe/tree/master/models/bvlc_reference_caffenet",
            "unrestricted",
            starts=(
                *(f"caption/lrcn-{each}" for each in ("1u", "2u", "2f", "4f")),
                *(f"activity/single-frame-{each}" for each in ("rgb", "flow")),
            ),
            settings={"backbone": "caffenet"},
        ),
        Release(
            "vgg16",
            "VGG-16, ILSVRC-2012, of Simonyan and Zisserman",
            PublishedFile(
                "VGG_ILSVRC_16_layers.caffemodel",
                "http://www.robots.ox.ac.uk/~vgg/software/very_deep/caffe/VGG_ILSVRC_16_layers.caffemodel",
                553432081,
                {
                    "SHA-1": "9363e1f6d65f7dba68c4f27a1e62105cdf6c4e24",
                    "SHA-256": "a6196bc498e45ea4cb2637114ae8db9410cf1556fd60a55ae93272371beba197",
                },
                "size and SHA-256: OpenVINO's Open Model Zoo; SHA-1: MXNet's model zoo, mexopencv",
            ),
            "https://gist.github.com/ksimonyan/211839e770f7b538e2d8",
            "Creative Commons Attribution 4.0, as the Open Model Zoo has it; the page refers to "
            "http://www.robots.ox.ac.uk/~vgg/research/very_deep/",
            starts=(
                *(f"caption/lrcn-{each}-vgg16" for each in ("1u", "2u", "2f", "4f")),
                *(f"activity/single-frame-{each}" for each in ("rgb", "flow")),
            ),
            settings={"backbone": "vgg16"},
        ),
        Release(
            "hybrid",
            "the hybrid of CaffeNet and Zeiler-Fergus, ILSVRC-2012, 60.2 % top-1, that the authors' nets start from",
            PublishedFile(
                "caffe_imagenet_hyb2_wr_rc_solver_sqrt_iter_310000",
                f"{LISA_ANNE}/caffe_imagenet_hyb2_wr_rc_solver_sqrt_iter_310000",
            ),
            f"{LISA_ANNE}/LRCN_video",
            starts=("activity/single-frame-rgb", "activity/single-frame-flow"),
        ),
        _activity(
            "rgb",
            "single-frame",
            PublishedFile(
                "single_frame_all_layers_hyb_RGB_iter_5000.caffemodel",
                f"{LISA_ANNE}/single_frame_all_layers_hyb_RGB_iter_5000.caffemodel",
            ),
        ),
        _activity(
            "flow",
            "single-frame",
            PublishedFile("single_frame_all_layers_hyb_flow_iter_50000.caffemodel", note=ON_PAGE),
        ),
        _activity("rgb", "lrcn-fc6", PublishedFile("RGB_lstm_model_iter_30000.caffemodel", note=ON_PAGE)),
        _activity("flow", "lrcn-fc6", PublishedFile("flow_lstm_model_iter_50000.caffemodel", note=ON_PAGE)),
        Release(
            "lrcn-2f",
            "the authors' captioner, two factored layers on CaffeNet, COCO 2014, before fine-tuning",
            PublishedFile(
                "lrcn_caffenet_iter_110000.caffemodel",
                "http://www.cs.uwyo.edu/~anguyen8/share/lrcn_caffenet_iter_110000.caffemodel",
                note="the address is not the authors': github.com/Evolving-AI-Lab/ppgn (nets/lrcn) hands it on; its "
                "vocabulary is misc/vocabulary.txt there",
            ),
            "http://jeffdonahue.com/lrcn/",
            whole=("caption/lrcn-2f",),
        ),
        Release(
            "lstm-lm",
            "the authors' language model, COCO 2014's captions",
            PublishedFile(
                "lstm_lm_iter_110000.caffemodel", note="we know of no address; `lrcn train lm/lstm-lm` trains it"
            ),
            "http://jeffdonahue.com/lrcn/",
            whole=("lm/lstm-lm",),
            starts=("caption/lrcn-2f",),
        ),
    ]
}


def folder() -> Path:
    """Where fetched weights lie."""
    return Path(os.environ.get(WEIGHTS) or cache() / "weights")


def release(name: str) -> Release:
    """The release of this name. SpecError with the nearest known one where there is none."""
    if name not in RELEASES:
        raise SpecError(f"{name}: no such weights{_hint(name) or '; `lrcn weights list` names them'}")
    return RELEASES[name]


def _hint(name: str) -> str:
    """The release that is meant by a file's name, a net's, or one that is nearly a release's."""
    for each in RELEASES.values():
        if Path(name).name in (each.file.name, each.file.name.removesuffix(".caffemodel")):
            return f"; did you mean '{each.name}'?"
    return nearest(Path(name).name.removesuffix(".caffemodel"), RELEASES)


def weights_file(value: str | Path) -> Path:
    """The file that a value of `--weights` means: a path, or else the name of weights that were fetched.

    Raises SpecError, one line, for a name that was not fetched and for what is neither.
    """
    path, name = Path(value), str(value)
    if not name:
        raise SpecError(
            "a file of weights with no name; --weights takes a .caffemodel, or a name of `lrcn weights list`"
        )
    if name not in RELEASES and path.is_dir():
        raise SpecError(f"{value}: a folder; --weights takes a .caffemodel, or a name of `lrcn weights list`")
    if path.is_file() or name not in RELEASES and path.exists():
        return path
    if name not in RELEASES:
        raise SpecError(
            f"{value}: no such file; --weights takes a .caffemodel, or a name of `lrcn weights list`{_hint(name)}"
        )
    one = RELEASES[name]
    if not one.path.is_file():
        if not one.file.address:
            raise SpecError(f"{name}: not here; {one.file.note} ({one.page}): put the file at {one.path}")
        raise SpecError(f"{name}: not fetched: lrcn weights fetch {name} ({one.size_in_words})")
    if why := one.file.other_size(one.path):
        raise SpecError(f"{one.path}: {why}; remove it and fetch it again: lrcn weights fetch {name}")
    return one.path


def fetch_weights(name: str, url: str | None, report: Report) -> str:
    """Fetches weights to where `weights_file` finds them, and says what they are. url: another address than the
    published one. Raises SpecError for an unknown name, DataError, one line, for whatever keeps them from being there
    whole and as published."""
    one = release(name)
    noted = one.path.with_name(one.path.name + ".sha256")
    if one.path.exists():
        if why := one.file.difference(one.path) or _other_than_noted(one.path, noted):
            raise DataError(f"{one.path}: {why}; remove it and fetch it again")
        return f"{name} is there: {one.path}"
    address = url or one.file.address
    if not address:
        raise DataError(f"{name}: {one.file.note} ({one.page}): give --from URL, or put the file at {one.path}")

    def check(part: Path) -> None:
        report(f"checking {name}", 0, 0)
        if why := one.file.difference(part):
            raise DataError(f"{address}: what it sent {why}; removed, nothing is put at {one.path}")
        if not one.file.checksums:
            try:
                read_weights(part)
            except SpecError as error:
                why = str(error).removeprefix(f"{part}: ")
                raise DataError(f"{address}: sent no weights ({why}); removed, nothing is put at {one.path}") from None
            if why := _other_than_noted(part, noted):
                raise DataError(f"{address}: what it sent {why}; removed. To take it all the same, remove {noted}")

    fetch(address, one.path, one.file.size, check, report)
    if one.file.checksums:
        return f"{name}: {one.path}, as published ({' and '.join(one.file.checksums)})"
    sha256 = digests(one.path, ["SHA-256"])["SHA-256"]
    write_text(noted, f"{sha256}  {one.path.name}\n")
    return f"{name}: {one.path}, SHA-256 {sha256}; none was published to hold it against, so it is noted in {noted}"


def _other_than_noted(path: Path, noted: Path) -> str:
    """Why a file is not the one whose SHA-256 was noted at its first download; "" where it is, or none was noted."""
    if not noted.is_file():
        return ""
    first = noted.read_text(encoding="utf-8", errors="replace").split(" ")[0].strip()
    sha256 = digests(path, ["SHA-256"])["SHA-256"]
    return "" if sha256 == first else f"has SHA-256 {sha256}, where {first} was noted in {noted} of an earlier one"
