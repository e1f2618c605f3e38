"""The Caffe Python layer `ClipData`: video clips as `data`, `label` and `clip_markers`.

In a net:  layer { type: "Python"  python_param { module: "lrcn.clip_data"  layer: "ClipData"  param_str: "{...}" } }
with a JSON object as `param_str` that holds exactly the keys of `clip_settings.KEYS`.

Tops, time-major (row t * videos + v is frame t of clip v), T = frames, N = videos:
    data          (T * N, 3, crop, crop)  BGR less the channel means
    label         (T * N,)                the video's class at each of its frames
    clip_markers  (T * N,)                0 at a clip's first frame, 1 at the others; this top may be left out
    (single-frame nets)
Source: `videoRead` in the released sequence_input_layer.py; its slips are options (`crop_slip`, and the means are given
in full).
"""

from __future__ import annotations

import importlib
import os
import sys

import caffe
import numpy as np

from data_prep.dataset import Dataset
from lrcn.activity.clip_loader import Loader, LoaderInPlace, LoaderToCard
from lrcn.activity.clip_settings import read_settings, shapes
from lrcn.activity.sampler import Sampler, clip_markers
from lrcn.engine.caffe_side import telling_the_user


class ClipData(caffe.Layer):
    def setup(self, bottom, top):
        with telling_the_user():
            settings = read_settings(self.param_str)
            top_shapes = shapes(settings, len(bottom), len(top))
            videos = Dataset(settings["data"]).read_list(settings["list"])
        # A net's TEST data layer starts anew with each Caffe process, and is no other's to share; its TRAIN data layer
        # goes on where the solver does.
        names = {"LRCN_FIRST_ITERATION": 0, "LRCN_RANK": 0, "LRCN_RANKS": 1}
        told = os.environ if self.phase == caffe.TRAIN else {}
        first, rank, ranks = (int(told.get(name, default)) for name, default in names.items())
        self.loader = _loader(Sampler(videos, settings, rank, ranks), settings, first)
        for i, shape in enumerate(top_shapes):  # pycaffe's tops can be counted, not gone through
            top[i].reshape(*shape)

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        with telling_the_user():
            labels = self.loader.fill(top[0])
        clips = len(labels)
        frames = top[0].num // clips
        top[1].data[...] = np.tile(labels, frames)
        if len(top) == 3:
            top[2].data[...] = clip_markers(frames, clips).ravel()

    def backward(self, top, propagate_down, bottom):
        pass


def _loader(sampler, settings, first) -> Loader:
    """One that hands batches over on the card where Caffe computes on one, and in place elsewhere."""
    card, in_place = _of_engine("_hand_over"), _of_engine("_in_place")
    if card and card.on_gpu():
        try:
            return LoaderToCard(card.HandOver, sampler, settings, first)
        except RuntimeError as error:
            print(f"ClipData: {error}; batches are copied one by one", file=sys.stderr, flush=True)
    return LoaderInPlace(in_place.InPlace, sampler, settings, first) if in_place else Loader(sampler, settings, first)


def _of_engine(module):
    """A module of ours beside pycaffe; None where the engine is without it: for CPUs alone, or built elsewhere."""
    try:
        return importlib.import_module(f"caffe.{module}")
    except ImportError:
        return None
