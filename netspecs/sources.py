"""Where the values of settings come from. Each setting carries one of `Field`, `Script`, `Paper` and `Ours`.

Activity recognition was released as examples/LRCN_activity_recognition of LisaAnne/lisa-caffe-public, branch
lstm_video_deploy; image description as examples/coco_caption of jeffdonahue/caffe, branch recurrent.
"""

from typing import Any, NamedTuple, TypeAlias

ACTIVITY, COCO = "LRCN_activity_recognition", "coco_caption"


class Field(NamedTuple):
    """A field of a released prototxt. `file`: which of a variant's, as its `released` names them: net, solver, deploy.

    `path`: of a solver's field, "test_iter[0]"; in a net behind the layer's name, "lstm1.recurrent_param.num_output",
    "data[1].image_data_param.batch_size" of the second layer called data, "conv*. ..." of all whose names begin so.
    `value`: what stands there, where it says the setting's value in other words.
    """

    file: str
    path: str
    value: Any = None


class Script(NamedTuple):
    """A released script, and what in it says the value."""

    file: str
    what: str


class Paper(NamedTuple):
    """A section or table of the paper."""

    where: str


class Ours(NamedTuple):
    """Neither the paper nor the release says it; why it is as it is."""

    why: str


Source: TypeAlias = Field | Script | Paper | Ours


class Sourced(NamedTuple):
    """A default with a source of its own, in place of the setting's."""

    default: Any
    source: Source


class File(NamedTuple):
    """A released file. `instead`: why it stands for one that was not released."""

    path: str
    instead: str = ""
