"""The files of `nets write`: their header."""

from importlib.metadata import version

from lrcn import net_files

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
    assert lines[1] == f'# lrcn {version("lrcn")}; not as published: data=a \\"b\\"\\n (), units=512 (256)'
    tiny = head(LRCN, {"backbone": "tiny"})[f"{LRCN}/solver.prototxt"][1]
    assert "backbone=tiny (hybrid)" in tiny and "widths=[16, 32, 48] ([96, 384, 512, 512, 384])" in tiny


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
