"""What the paper reports (Donahue et al., CVPR 2015), for comparison."""

# Table 1: UCF-101 accuracy in percent. Columns: RGB, flow, and the weighted averages of their scores.
TABLE1_COLUMNS = ("RGB", "flow", "1/2, 1/2", "1/3, 2/3")
TABLE1 = {
    "split 1": {
        "single-frame": (69.00, 72.20, 75.71, 79.04),
        "lrcn-fc6": (71.12, 76.95, 81.97, 82.92),
        "lrcn-fc7": (70.68, 69.36, 79.01, 80.51),
    },
    "mean of splits 1-3": {
        "single-frame": (67.70, 72.19, 75.87, 78.84),
        "lrcn-fc6": (68.19, 77.46, 80.62, 82.66),
    },
}
