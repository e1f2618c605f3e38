"""Which trained net a command takes from a folder of runs, and what is said where it holds none."""

import pytest

from lrcn.training.run import Run, TrainError
from lrcn.training.trained import classifiers, writer
from netspecs import catalogue


@pytest.fixture
def captioners(tmp_path):
    """The runs of a captioner and of the CNN that it starts from."""
    for folder, name in {"lrcn-2f": "caption/lrcn-2f", "pretrain-rgb": "activity/single-frame-rgb"}.items():
        (tmp_path / folder).mkdir()
        variant = catalogue.get(name)
        Run(tmp_path / folder).keep(variant, variant.settings(), {"classes": []}, tmp_path)
    return tmp_path


def test_what_a_folder_holds_in_place_of_a_net_is_named_with_the_command_that_takes_it(captioners):
    wanted = {
        "language model": lambda: writer(captioners, "lm"),
        "net that classifies videos": lambda: classifiers(captioners),
    }
    for what, find in wanted.items():
        with pytest.raises(TrainError) as error:
            find()
        said = str(error.value)
        assert f"holds no {what} but caption/lrcn-2f, activity/single-frame-rgb; `lrcn caption IMAGE --run" in said
        assert "classify VIDEO" not in said
