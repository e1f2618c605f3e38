"""The slow way of a beam search: every prefix of every beam is replayed through the net before each word. Runs inside a
child Python that has pycaffe.

    replay.py NET WEIGHTS FEATURES WIDTH LENGTH    a JSON line an image: its sentences, likeliest first
                                                   ([[word, log probability], ...] each), and the seconds

NET: a deploy net of one step and one stream that carries its states; or a whole encoder-decoder that writes more than
one. FEATURES: image_features in a .npy file, other inputs by their names (images, ...) in a .npz file, or - for none.
"""

import json
import sys
import time

import caffe
import numpy as np


def main(path, weights, features, width, length):
    net = caffe.Net(path, weights, caffe.TEST)
    if features == "-":
        images = [{}]
    elif features.endswith("npy"):
        images = [{"image_features": image} for image in np.load(features)]
    else:
        given = dict(np.load(features))
        images = [dict(zip(given, rows)) for rows in zip(*given.values())]
    for image in images:
        begun = time.perf_counter()
        found = search(net, image, int(width), int(length))
        print(json.dumps({"sentences": found, "seconds": time.perf_counter() - begun}), flush=True)


def search(net, image, width, length):
    beams = [([], 0.0)]
    while not all(over(sentence, length) for sentence, _ in beams):
        grown = []
        for sentence, total in beams:
            if over(sentence, length):
                grown.append((sentence, total))
                continue
            log_probs = next_word(net, image, [word for word, _ in sentence])
            for word in np.argsort(-log_probs)[:width].tolist():
                gain = float(log_probs[word])
                grown.append((sentence + [[word, gain]], total + gain))
        beams = sorted(grown, key=lambda beam: -beam[1])[:width]
    return [sentence for sentence, _ in beams]


def over(sentence, length):
    return len(sentence) >= length or bool(sentence) and sentence[-1][0] == 0


def next_word(net, image, words):
    """Log probabilities (vocabulary,) of what follows `words`."""
    if len(net.blobs["input_sentence"].data) > 1:
        return whole(net, image, words)
    for name, value in image.items():
        net.blobs[name].data[...] = value
    for t, word in enumerate([0, *words]):
        net.blobs["cont_sentence"].data[...] = min(t, 1)
        net.blobs["input_sentence"].data[...] = word
        net.forward()
    return np.log(net.blobs["probs"].data[0, 0].astype(np.float64))


def whole(net, image, words):
    """`next_word` of an encoder-decoder, which reads and writes in one pass."""
    for name in ("cont_sentence", "input_sentence", "input_slots"):
        if name in net.blobs:
            net.blobs[name].data[...] = 7  # of what is written later nothing is read
    reading = len(next(iter(image.values())))
    for name, value in image.items():
        net.blobs[name].data[:reading, 0] = value
    net.blobs["cont_sentence"].data[reading:] = 1
    net.blobs["input_sentence"].data[reading : reading + len(words) + 1, 0] = [0, *words]
    net.forward()
    return np.log(net.blobs["probs"].data[reading + len(words), 0].astype(np.float64))


if __name__ == "__main__":
    main(*sys.argv[1:])
