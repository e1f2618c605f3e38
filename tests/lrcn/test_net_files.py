"""The files of `nets write`: their header, and what stands beside the values of `--explain`."""

import re
from importlib.metadata import version

import pytest

from lrcn import net_files
from netspecs import catalogue
from prototxt_gen import SpecError, parse

LRCN = "activity/lrcn-fc6-rgb"


def head(name, settings, every_edition=False):
    """Path -> the comments at a file's top."""
    made = net_files.texts(name, settings, every_edition)
    return {str(path): [line for line in text.splitlines() if line.startswith("#")] for path, text in made.items()}


def test_the_header_names_the_version_and_what_is_not_as_published():
    assert set(map(tuple, head(LRCN, {}).values())) == {
        ("# activity/lrcn-fc6-rgb, Table 1, LRCN-fc6, rgb", f"# lrcn {version('lrcn')}")
    }
    [lines] = set(map(tuple, head(LRCN, {"units": "512", "data": 'a "b"\n', "videos": 24}).values()))
    assert lines[1] == f'# lrcn {version("lrcn")}; not as published: data=a \\"b\\"\\n (""), units=512 (256)'
    tiny = head(LRCN, {"backbone": "tiny"})[f"{LRCN}/solver.prototxt"][1]
    assert "backbone=tiny (hybrid)" in tiny and "widths=[16, 32, 48] ([96, 384, 512, 512, 384])" in tiny


def test_values_are_shown_so_that_they_can_be_told_apart():
    values = "", "train", 'a"b"', True, 0.5, [96, 384]
    assert [net_files.shown(value) for value in values] == ['""', "train", r"a\"b\"", "true", "0.5", "[96, 384]"]


def test_a_split_or_stage_is_another_training_not_a_difference():
    lines = head("caption/lrcn-2f", {"base_lr": 0.002, "stage": "finetune"})["caption/lrcn-2f/solver.prototxt"]
    assert lines[0] == "# caption/lrcn-2f, Tables 2 and 3, LRCN-2f, stage finetune"
    assert lines[1].endswith("; not as published: base_lr=0.002 (0.001)")
    every = head(LRCN, {}, every_edition=True)
    assert every[f"{LRCN}/split-3/deploy.prototxt"] == [
        "# activity/lrcn-fc6-rgb, Table 1, LRCN-fc6, rgb, split 3",
        f"# lrcn {version('lrcn')}",
    ]


def test_the_authors_files_name_the_version_and_what_is_left_out():
    texts = {str(path): text for path, text in net_files.published_texts().items()}
    assert all(text.splitlines()[1] == f"# lrcn {version('lrcn')}" for text in texts.values())
    assert (
        "#   image_data_param.min_height: 227\n"
        in texts["LRCN_activity_recognition/train_test_singleFrame_flow.prototxt"]
    )


# ---- beside the values -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [LRCN, "activity/single-frame-flow", "caption/lrcn-2f-vgg16", "video/decoder-prob"])
@pytest.mark.parametrize("settings", [{}, {"data": "a '#\u2028\n b\"", "max_iter": 7}])
def test_comments_change_nothing(name, settings):
    plain, explained = (net_files.texts(name, settings, explain=explain) for explain in (False, True))
    assert plain.keys() == explained.keys()
    for path, text in plain.items():
        kind = "solver" if path.stem == "solver" else "net"
        assert parse(explained[path], kind) == parse(text, kind)
        bare = [re.sub(r"(?<=\S)  # .*", "", line) for line in explained[path].split("\n")]
        assert [line for line in bare if not line.lstrip().startswith("#")] == [
            line for line in text.split("\n") if not line.startswith("#")
        ]


def beside(name, settings=None, kind="train_test"):
    """The lines with a comment of one of a net's files."""
    [text] = [text for path, text in net_files.texts(name, settings or {}, explain=True).items() if path.stem == kind]
    return [line.strip() for line in text.splitlines() if " # " in line or line.lstrip().startswith("#")][2:]


def test_each_value_of_a_solver_says_where_it_is_from():
    lines = beside(LRCN, {"gamma": 0.5}, "solver")
    assert "stepsize: 10000  # lstm_solver_RGB.prototxt" in lines
    assert "random_seed: 1701  # seed: lstm_solver_RGB.prototxt" in lines
    assert "gamma: 0.5  # set; published 0.1" in lines
    solver = parse("\n".join(lines), "solver")
    unsaid = {"test_state"}  # no setting decides it
    written = catalogue.get(LRCN).files(gamma=0.5)["solver"]
    assert {field.name for field, _ in solver.ListFields()} == {
        field.name for field, _ in written.ListFields()
    } - unsaid


def test_a_line_of_several_settings_names_them_all():
    lines = beside(LRCN)
    assert "shape { dim: 16 dim: 24 dim: 4096 }  # frames, fc6, videos: train_test_lstm_RGB.prototxt" in lines
    assert "dropout_ratio: 0.9  # drop6: train_test_lstm_RGB.prototxt" in lines
    reader = lines[: next(number for number, line in enumerate(lines) if "param_str" not in line and "#" != line[0])]
    assert "# height, width, mirror, scale, order: sequence_input_layer.py" in reader
    assert "# frames, videos: train_test_lstm_RGB.prototxt" in reader


def test_what_is_ours_says_why_where_it_stands():
    for modality in ("rgb", "flow"):
        assert any(
            line.startswith("dropout_ratio: 0.5  # drop7: ours: neither release nor paper")
            for line in beside(f"activity/lrcn-fc7-{modality}")
        )
    sizes = [line for line in beside("video/decoder-prob") if line.startswith(("num_output: 3000", "input_dim: 3000"))]
    assert len(sizes) == 2 and all("# vocabulary: ours: not in the paper" in line for line in sizes)


def test_settings_that_clash_are_refused():
    with pytest.raises(SpecError, match="crop=300 does not fit"):
        net_files.texts(LRCN, {"crop": 300}, explain=True)
