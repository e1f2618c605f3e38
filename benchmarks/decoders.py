"""How long decoders of JPEG take for a frame, and whether their pixels are OpenCV's.

    python benchmarks/decoders.py [--frames DIR] [--times 9]

Of OpenCV, simplejpeg, imagecodecs, Pillow and PyTurboJPEG those that are installed. DIR holds a folder of JPEG frames
for each video; without it frames are cut from scikit-image's photographs. The same frames are decoded as `lrcn prepare`
writes them, too. Processor time, one thread, the decoders in turn.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np
from clips import frames, frames_option

from data_prep.frames import encode_jpeg


def decoders() -> dict[str, Callable[[bytes], np.ndarray]]:
    """Name -> a function that makes BGR pixels of a file."""
    made = {"OpenCV": lambda jpeg: cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)}
    with contextlib.suppress(ImportError):
        import simplejpeg

        made["simplejpeg"] = lambda jpeg: simplejpeg.decode_jpeg(jpeg, "BGR")
    with contextlib.suppress(ImportError):
        import imagecodecs

        made["imagecodecs"] = lambda jpeg: imagecodecs.jpeg8_decode(jpeg)[..., ::-1]
    with contextlib.suppress(ImportError):
        from PIL import Image

        made["Pillow"] = lambda jpeg: np.asarray(Image.open(io.BytesIO(jpeg)))[..., ::-1]
    with contextlib.suppress(ImportError, RuntimeError):  # the latter where there is no libturbojpeg
        import turbojpeg

        made["PyTurboJPEG"] = turbojpeg.TurboJPEG().decode
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    frames_option(parser)
    parser.add_argument("--times", type=int, default=9)
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    given = [jpeg for jpegs in frames(asked.frames).values() for jpeg in jpegs]
    ways = decoders()
    prepared = [encode_jpeg(cv2.resize(ways["OpenCV"](jpeg), (320, 240))) for jpeg in given]
    for what, jpegs in (("as given", given), ("as prepared", prepared)):
        spent: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(asked.times):
            for name, decode in ways.items():
                begun = time.process_time()
                for jpeg in jpegs:
                    decode(jpeg)
                spent[name].append(1e6 * (time.process_time() - begun) / len(jpegs))
        for name, decode in ways.items():
            same = sum(np.array_equal(decode(jpeg), ways["OpenCV"](jpeg)) for jpeg in jpegs)
            microseconds = statistics.median(spent[name])
            print(f"{what:12} {name:12} {microseconds:6.0f} us a frame; {same} of {len(jpegs)} as OpenCV's")


if __name__ == "__main__":
    main()
