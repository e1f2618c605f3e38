"""The data sets of the paper, and those beside them that `lrcn prepare` reads: files, terms, and what to type next.

Nothing of them is fetched by lrcn. Sizes and checksums are as their publishers, or those who are named in a `note`,
give them; what nobody gives is not published, and stands here as that.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any

from lrcn.released.published_file import PublishedFile
from prototxt_gen import SpecError, nearest

TFDS = "size and SHA-256: TensorFlow Datasets"
COCO = "http://images.cocodataset.org"
UCF101 = "https://www.crcv.ucf.edu/data/UCF101"
FLICKR8K = "https://github.com/jbrownlee/Datasets/releases/download/Flickr8k"


@dataclass(frozen=True)
class DataSet:
    """terms: under which it may be used; put: where its files go; then: the commands to type next, a line each."""

    name: str
    about: str
    page: str
    terms: str
    put: str
    then: str
    files: tuple[PublishedFile, ...] = ()

    @property
    def commands(self) -> list[str]:
        return textwrap.dedent(self.then).strip().splitlines()

    def describe(self) -> str:
        """All that is known of it, a line each."""
        lines = [f"{self.name}: {self.about}"]
        for file in self.files:
            (_, name), *known = file.describe().items()
            lines += [f"  {name}", *(f"    {what:<9} {text}" for what, text in known)]
        lines += [f"  {'page':<11} {self.page}", f"  {'terms':<11} {self.terms}", f"  {'put':<11} {self.put}", "  then"]
        return "\n".join([*lines, *(f"    {command}" for command in self.commands)])

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "about": self.about,
            "page": self.page,
            "terms": self.terms,
            "files": [file.as_json() for file in self.files],
            "put": self.put,
            "then": self.commands,
        }


KARPATHY = PublishedFile(
    "caption_datasets.zip",
    "https://cs.stanford.edu/people/karpathy/deepimagesent/caption_datasets.zip",
    36745453,
    {"SHA-256": "4cfd70132527b80933105e5829dc9034eaab9573482e2e680abbab6130244817"},
    f"{TFDS}; holds dataset_coco.json, dataset_flickr30k.json, dataset_flickr8k.json",
)

DATA_SETS = {
    each.name: each
    for each in [
        DataSet(
            "demo",
            "eight motions, things and places, made by lrcn; nothing to fetch",
            "docs/demo.md",
            "made of scikit-image's photographs",
            "nothing",
            """
            lrcn prepare demo
            lrcn train demo
            """,
        ),
        DataSet(
            "ucf101",
            "13,320 videos of 101 actions (Table 1)",
            "https://www.crcv.ucf.edu/data/UCF101.php",
            "none stated with the files; videos of YouTube, for research; cite arXiv:1212.0402",
            "unpack both: UCF-101/ (unrar x UCF101.rar) and ucfTrainTestlist/",
            """
            lrcn prepare ucf101 --videos UCF-101 --splits ucfTrainTestlist --out data/ucf101 --split all
            lrcn prepare flow --data data/ucf101
            lrcn weights fetch hybrid
            lrcn train activity/table1 --data data/ucf101 --out runs/ucf101 --split all --weights hybrid --gpu 0
            """,
            (
                PublishedFile("UCF101.rar", f"{UCF101}/UCF101.rar", 6932971618, note="size: as the server gives it"),
                PublishedFile(
                    "UCF101TrainTestSplits-RecognitionTask.zip",
                    f"{UCF101}/UCF101TrainTestSplits-RecognitionTask.zip",
                    113943,
                    {"SHA-256": "5c0d1a53b8ed364a2ac830a73f405e51bece7d98ce1254fd19ed4a36b224bd27"},
                    TFDS,
                ),
            ),
        ),
        DataSet(
            "coco",
            "COCO 2014: 123,287 images, five captions each (Tables 2 to 4)",
            "https://cocodataset.org/#download",
            "annotations: Creative Commons Attribution 4.0; images: Flickr's terms of use",
            "unpack into one folder, coco/: train2014/, val2014/, and Karpathy's dataset_coco.json, which holds the "
            "captions too; or annotations/ and the release's lists (--annotations FILE twice, --split FOLDER)",
            """
            lrcn prepare coco --split coco/dataset_coco.json --images coco --out data/coco
            lrcn weights fetch caffenet
            lrcn train caption/lrcn-2f --data data/coco --out runs/coco --weights caffenet --gpu 0
            """,
            (
                PublishedFile(
                    "train2014.zip",
                    f"{COCO}/zips/train2014.zip",
                    13510573713,
                    {"SHA-256": "ede4087e640bddba550e090eae701092534b554b42b05ac33f0300b984b31775"},
                    TFDS,
                ),
                PublishedFile(
                    "val2014.zip",
                    f"{COCO}/zips/val2014.zip",
                    6645013297,
                    {"SHA-256": "fe9be816052049c34717e077d9e34aa60814a55679f804cd043e3cbee3b9fde0"},
                    TFDS,
                ),
                PublishedFile(
                    "annotations_trainval2014.zip",
                    f"{COCO}/annotations/annotations_trainval2014.zip",
                    252872794,
                    {"SHA-256": "031296bbc80c45a1d1f76bf9a90ead27e94e99ec629208449507a4917a3bf009"},
                    TFDS,
                ),
                KARPATHY,
                PublishedFile(
                    "coco2014_aux.tar.gz",
                    "http://dl.caffe.berkeleyvision.org/coco2014_aux.tar.gz",
                    note="the release's id lists, coco2014_cocoid.*.txt, of Karpathy's splits",
                ),
            ),
        ),
        DataSet(
            "flickr30k",
            "31,783 images, five captions each (Tables 2 and 3)",
            "https://shannon.cs.illinois.edu/DenotationGraph/",
            "for non-commercial research and education; images: Flickr's terms of use, by request",
            "unpack: flickr30k-images/, and Karpathy's dataset_flickr30k.json, which holds the captions too",
            """
            lrcn prepare flickr30k --split dataset_flickr30k.json --images flickr30k-images --out data/flickr30k
            lrcn weights fetch caffenet
            lrcn train caption/lrcn-2f --data data/flickr30k --out runs/flickr30k --weights caffenet --gpu 0
            """,
            (
                PublishedFile("flickr30k-images.tar.gz", note="sent on request: https://forms.illinois.edu/sec/229675"),
                PublishedFile(
                    "flickr30k.tar.gz",
                    "http://shannon.cs.illinois.edu/DenotationGraph/data/flickr30k.tar.gz",
                    note="holds results_20130124.token",
                ),
                KARPATHY,
            ),
        ),
        DataSet(
            "flickr8k",
            "8,000 images with lists of 6,000, 1,000 and 1,000, five captions each; small enough for a first try",
            "http://hockenmaier.cs.illinois.edu/8k-pictures.html",
            "for non-commercial research and education; images: Flickr's terms of use",
            "unpack: Flicker8k_Dataset/ (so spelt); Flickr8k.token.txt; Flickr_8k.*Images.txt into a folder lists/",
            """
            lrcn prepare flickr30k --tokens Flickr8k.token.txt --split lists --images Flicker8k_Dataset \\
                --out data/flickr8k
            lrcn weights fetch caffenet
            lrcn train caption/lrcn-2f --data data/flickr8k --out runs/flickr8k --weights caffenet
            """,
            (
                PublishedFile(
                    "Flickr8k_Dataset.zip",
                    f"{FLICKR8K}/Flickr8k_Dataset.zip",
                    checksums={"MD5": "f18a1e2920de5bd84dae7cf08ec78978"},
                    note="a copy; MD5: torchvision for R",
                ),
                PublishedFile(
                    "Flickr8k_text.zip",
                    f"{FLICKR8K}/Flickr8k_text.zip",
                    checksums={"MD5": "bf6c1abcb8e4a833b7f922104de18627"},
                    note="a copy; MD5: torchvision for R",
                ),
            ),
        ),
        DataSet(
            "tacos",
            "TACoS Multi-Level: cooking videos, sentences at three levels of detail (Table 5)",
            "https://www.mpi-inf.mpg.de/departments/computer-vision-and-machine-learning/research/vision-and-language/"
            "tacos-multi-level-corpus",
            "as the page says",
            "a folder for each level of detail, with index.tsv; a list of videos and their part; what a CRF says",
            """
            lrcn prepare tacos --annotations detailed=FOLDER --splits splits.txt --slots slots.jsonl --out data/tacos
            lrcn train video/decoder-prob --data data/tacos --out runs/tacos
            """,
            (
                PublishedFile("the sentences and their alignments", note="from the page"),
                PublishedFile("the CRF's predictions", note="the paper's were not released, as far as we know"),
            ),
        ),
    ]
}


def data_set(name: str) -> DataSet:
    """The data set of this name. SpecError with the nearest known one where there is none."""
    if name not in DATA_SETS:
        raise SpecError(f"{name}: no such data set{nearest(name, DATA_SETS) or '; `lrcn data list` names them'}")
    return DATA_SETS[name]
