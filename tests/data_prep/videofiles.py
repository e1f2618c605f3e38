"""Small video files for the tests."""

import cv2
import numpy as np

SIZE = (48, 40)  # width, height of the tests' videos


def write_video(path, frames=6, value=60, size=SIZE):
    """A small motion JPEG whose frame i is one grey, (value + 10 i) mod 240, with a bright square that moves to the
    right.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"MJPG"), 10, size)
    for i in range(frames):
        image = np.full((size[1], size[0], 3), (value + 10 * i) % 240, np.uint8)
        image[10:20, 2 * i + 4 : 2 * i + 14] = 250
        writer.write(image)
    writer.release()
    return path
