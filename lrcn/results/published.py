"""What the paper reports (Donahue et al., CVPR 2015), for comparison."""

# Table 1: UCF-101 accuracy in percent. Columns: RGB, flow, and the weighted averages of their scores.
TABLE1_COLUMNS = ("RGB", "flow", "1/2, 1/2", "1/3, 2/3")
TABLE1 = {
    "split 1": {
        "single-frame": (69.00, 72.20, 75.71, 79.04),
        "lrcn-fc6": (71.12, 76.95, 81.97, 82.92),
        "lrcn-fc7": (70.68, 69.36, 79.01, 80.51),
    },
    "mean of splits 1-3": {"single-frame": (67.70, 72.19, 75.87, 78.84), "lrcn-fc6": (68.19, 77.46, 80.62, 82.66)},
}

TABLE1_ROWS = tuple(TABLE1["split 1"])  # in the paper's order

# Table 2: retrieval. Recalls in percent and the median rank, of images by captions, then of captions by images.
TABLE2_COLUMNS = ("R@1", "R@5", "R@10", "MedR")
TABLE2 = {
    "Flickr30k": {
        "DeViSE": ((6.7, 21.9, 32.7, 25), (4.5, 18.1, 29.2, 26)),
        "SDT-RNN": ((8.9, 29.8, 41.1, 16), (9.6, 29.8, 41.1, 16)),
        "DeFrag": ((10.3, 31.4, 44.5, 13), (16.4, 40.2, 54.7, 8)),
        "m-RNN": ((12.6, 31.2, 41.5, 16), (18.4, 40.2, 50.9, 10)),
        "ConvNet": ((11.8, 34.0, 46.3, 13), (14.8, 39.2, 50.9, 10)),
        "lrcn-2f": ((17.5, 40.3, 50.8, 9), (23.6, 46.6, 58.3, 7)),
    },
    "COCO 2014": {"lrcn-2f": ((29.0, 61.6, 74.8, 3), (39.1, 69.0, 80.9, 2))},
}

# Table 3: generated captions, BLEU in percent.
TABLE3_COLUMNS = ("B-1", "B-2", "B-3", "B-4")
TABLE3: dict[str, dict[str, tuple[float | None, ...]]] = {
    "Flickr30k": {
        "m-RNN": (54.79, 23.92, 19.52, None),
        "1nn-fc8": (37.34, 18.66, 9.39, 4.88),
        "1nn-fc7": (38.81, 20.16, 10.37, 5.54),
        "lrcn": (58.72, 39.06, 25.12, 16.46),
    },
    "COCO 2014": {"1nn-fc7": (46.23, 26.39, 15.07, 8.73), "lrcn": (66.86, 48.92, 34.89, 24.92)},
}

# Table 4: mean ranks by people, from 1 to 6, low is good; of images of Flickr30k.
TABLE4_IMAGES = 785
TABLE4_COLUMNS = ("correctness", "grammar", "relevance")
TABLE4 = {
    "TreeTalk": (4.08, 4.35, 3.98),
    "OxfordNet": (3.71, 3.46, 3.70),
    "NN": (3.44, 3.20, 3.49),
    "LRCN fc8": (3.74, 3.19, 3.72),
    "LRCN FT": (3.47, 3.01, 3.50),
    "captions": (2.55, 3.72, 2.59),
}

# Table 5: descriptions of videos, BLEU-4 in percent; TACoS multilevel.
TABLE5 = {
    "smt-crf-max": 24.9,
    "smt-crf-prob": 26.9,
    "encoder-decoder-max": 25.3,
    "decoder-max": 27.4,
    "decoder-prob": 28.8,
}
