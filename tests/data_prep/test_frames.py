import math
import os
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from data_prep import DataError, frames
from data_prep.frames import VideoFile, decode, encode_jpeg, frames_in, images_in, jpegs

from .videofiles import prepare_small, write_video


def test_every_frame_comes_at_the_wanted_size(tmp_path):
    video = VideoFile(write_video(tmp_path / "a.avi", frames=7, value=40), 240, 320)
    images = list(video)
    assert [image.shape for image in images] == [(240, 320, 3)] * 7
    assert (video.declared, video.decoded) == (7, 7)
    assert [round(float(image[-20:, -20:].mean()) / 10) for image in images] == [4, 5, 6, 7, 8, 9, 10]


def test_height_none_keeps_the_files_size(tmp_path):
    assert next(iter(VideoFile(write_video(tmp_path / "a.avi"), None))).shape == (40, 48, 3)


@pytest.mark.parametrize(
    "fps, indices",
    [(10, [0, 1, 2, 3, 4, 5, 6, 7]), (5, [0, 2, 4, 6]), (20, [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7])],
)
def test_another_frame_rate_repeats_and_leaves_out(tmp_path, fps, indices):
    images = list(VideoFile(write_video(tmp_path / "a.avi", frames=8, value=50), None, fps=fps))
    assert [round((float(image[-5:, -5:].mean()) - 50) / 10) for image in images] == indices


def cut(path, share):
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return path


def test_truncated_video_is_refused_by_name(tmp_path):
    path = cut(write_video(tmp_path / "cut.avi", frames=40), 0.6)
    with pytest.raises(DataError, match=r"cut\.avi: truncated, \d+ of 40 frames"):
        list(VideoFile(path))


def test_a_header_that_promises_two_frames_too_many_is_borne(tmp_path):
    path = write_video(tmp_path / "a.avi", frames=30)
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"00dc", 0, content.rindex(b"idx1")) - 4])
    video = VideoFile(path)
    assert len(list(video)) == video.decoded and 28 <= video.decoded < video.declared == 30


def test_zero_frame_video_is_refused(tmp_path):
    path = write_video(tmp_path / "none.avi", frames=0)
    with pytest.raises(DataError, match=r"none\.avi: the video has no frames"):
        list(VideoFile(path))


@pytest.mark.parametrize("content", [b"", b"no video at all\n" * 400])
def test_unreadable_video_is_refused_without_noise(tmp_path, content, capfd):
    (tmp_path / "bad.avi").write_bytes(content)
    with pytest.raises(DataError, match=r"bad\.avi: not a readable video"):
        list(VideoFile(tmp_path / "bad.avi"))
    assert capfd.readouterr() == ("", "")


def test_missing_video_is_named(tmp_path):
    with pytest.raises(DataError, match="gone.avi: no such video file"):
        list(VideoFile(tmp_path / "gone.avi"))


def test_full_colour_jpeg_keeps_a_colour_edge():
    image = np.full((32, 32, 3), 128, np.uint8)
    image[:, 17:, 2] = 180  # an edge in red, in the middle of a chroma block
    error = {
        full: np.abs(cv2.imdecode(np.frombuffer(encode_jpeg(image, full), np.uint8), 1).astype(int) - image).max()
        for full in (True, False)
    }
    assert error[True] <= 4 < error[False]


def greys(images):
    """The grey levels of the tests' videos: 10 a frame."""
    return [round(float(image[-5:, -5:].mean()) / 10) for image in images]


def concatenated(path, sizes):
    """A program stream whose pictures change size: parts one after the other."""
    parts = []
    for number, size in enumerate(sizes):
        part = path.with_name(f"part{number}.mpg")
        writer = cv2.VideoWriter(str(part), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"PIM1"), 25, size)
        if not writer.isOpened():
            pytest.skip("this OpenCV writes no MPEG-1")
        for _ in range(10):
            writer.write(np.full((size[1], size[0], 3), 60 + 100 * number, np.uint8))
        writer.release()
        parts.append(part.read_bytes())
        part.unlink()
    path.write_bytes(b"".join(parts))
    return path


@pytest.mark.parametrize("fps", [None, 25])
def test_a_video_that_changes_size_in_the_middle(tmp_path, fps):
    video = VideoFile(concatenated(tmp_path / "a.mpg", [(320, 240), (160, 128)]), 40, 48, fps)
    images = list(video)
    assert {image.shape for image in images} == {(40, 48, 3)} and 18 <= len(images) <= 20
    levels = [float(image.mean()) for image in images]
    assert all(abs(level - 60) < 4 for level in levels[:8]) and all(abs(level - 160) < 4 for level in levels[-8:])


@pytest.mark.parametrize(
    "fourcc, suffix",
    [
        ("FFV1", "mkv"),
        ("FFV1", "avi"),
        ("VP90", "webm"),
        ("VP80", "webm"),
        ("XVID", "avi"),
        ("mp4v", "mp4"),
        ("HFYU", "avi"),
        ("WMV2", "wmv"),
        ("FLV1", "flv"),
    ],
)
@pytest.mark.parametrize("fps", [None, 10])
def test_odd_codecs(tmp_path, fourcc, suffix, fps):
    path = tmp_path / f"a.{suffix}"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*fourcc), 10, (64, 48))
    if not writer.isOpened():
        pytest.skip(f"this OpenCV writes no {fourcc}")
    for i in range(8):
        writer.write(np.full((48, 64, 3), 50 + 10 * i, np.uint8))
    writer.release()
    assert greys(VideoFile(path, 48, 64, fps)) == [5, 6, 7, 8, 9, 10, 11, 12]


def vint(number, length):
    return (number | 1 << 7 * length).to_bytes(length, "big")


def element(identity, content):
    return bytes.fromhex(identity) + vint(len(content), 4) + content


def number(identity, value):
    return element(identity, value.to_bytes(4, "big"))


def variable_rate(path, milliseconds, duration=None):
    """A Matroska file, put together by hand, of JPEG pictures of 10 levels of grey more each, shown at these times."""
    pictures = [
        cv2.imencode(".jpg", np.full((48, 64, 3), (50 + 10 * i) % 240, np.uint8))[1].tobytes()
        for i in range(len(milliseconds))
    ]
    head = element("1A45DFA3", element("4282", b"matroska") + number("4287", 4) + number("4285", 2))
    length = struct.pack(">d", duration or milliseconds[-1] + 40)
    info = element("1549A966", number("2AD7B1", 1_000_000) + element("4489", length))
    track = number("D7", 1) + number("73C5", 1) + number("83", 1) + element("86", b"V_MJPEG")
    track += number("23E383", 40_000_000) + element("E0", number("B0", 64) + number("BA", 48))
    blocks = b"".join(
        element("A3", vint(1, 1) + time.to_bytes(2, "big") + b"\x80" + picture)
        for time, picture in zip(milliseconds, pictures)
    )
    cluster = element("1F43B675", number("E7", 0) + blocks)
    path.write_bytes(head + element("18538067", info + element("1654AE6B", element("AE", track)) + cluster))
    return path


def test_a_variable_frame_rate_becomes_a_constant_one(tmp_path):
    """Frames at 0, 40, 80 ms, then one each 120 ms: at 25 a second the later are shown three times; the place of a
    frame is where it is nearest.
    """
    path = variable_rate(tmp_path / "a.mkv", [0, 40, 80, 200, 320, 440])
    assert greys(VideoFile(path, None)) == [5, 6, 7, 8, 9, 10]
    assert greys(VideoFile(path, None, fps=25)) == [5, 6, 7, 7, 8, 8, 8, 9, 9, 9, 10, 10]
    assert greys(VideoFile(path, None, fps=12.5)) == [5, 7, 8, 8, 9, 10]


def test_a_variable_frame_rate_is_no_truncation(tmp_path):
    """Containers tell a duration, which at the file's nominal rate has places for many more frames."""
    path = variable_rate(tmp_path / "a.mkv", [0, 40, 80, *range(200, 3000, 120)])
    video = VideoFile(path, None)
    assert len(list(video)) == 27 and video.declared > 60
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="truncated"):
        list(VideoFile(path, None))


def test_five_frames_at_the_authors_rate(tmp_path):
    assert greys(VideoFile(write_video(tmp_path / "a.avi", frames=5), None, fps=30)) == [
        6,
        6,
        *(level for level in (7, 8, 9, 10) for _ in range(3)),
    ]


def test_a_repeated_frame_is_encoded_once(tmp_path):
    encoded, declared, decoded = jpegs(write_video(tmp_path / "a.avi", frames=4), 40, 48, fps=20)
    assert (declared, decoded, len(encoded)) == (4, 4, 7) and len(set(encoded)) == 4


@pytest.fixture
def pictures(tmp_path):
    """A folder i_1 ... i_12 of images of one grey each, 10 levels a number."""
    (tmp_path / "v").mkdir()
    for i in range(1, 13):
        cv2.imwrite(str(tmp_path / f"v/i_{i}.jpg"), np.full((40, 48, 3), 10 * i, np.uint8))
    (tmp_path / "v/notes.txt").write_text("no image")
    return tmp_path / "v"


def test_a_folder_of_images_is_a_video_in_natural_order(pictures):
    encoded, declared, decoded = jpegs(pictures, 40, 48, fps=30)
    assert greys(decode(jpeg) for jpeg in encoded) == list(range(1, 13)) and (declared, decoded) == (12, 12)
    assert encoded[9] == (pictures / "i_10.jpg").read_bytes()


def test_other_digits_than_0_to_9_are_letters(pictures):
    for number, name in enumerate(("\u00b23.jpg", "\u0663 4.jpg", "\u0664.jpg")):  # superscript 2; Arabic 3, 4
        (pictures / f"i_{number + 2}.jpg").rename(pictures / name)
    assert [path.name for path in images_in(pictures)][-3:] == ["\u00b23.jpg", "\u0663 4.jpg", "\u0664.jpg"]


def test_images_of_another_size_or_kind_become_colour_jpeg_of_the_size(pictures):
    cv2.imwrite(str(pictures / "i_1.jpg"), np.full((40, 48), 10, np.uint8))
    cv2.imwrite(str(pictures / "i_2.jpg"), np.full((30, 20, 3), 20, np.uint8))
    (pictures / "i_3.jpg").unlink()
    cv2.imwrite(str(pictures / "i_3.png"), np.full((40, 48, 4), 30, np.uint8))
    cv2.imwrite(str(pictures / "i_0.png"), np.full((40, 48), 0, np.uint16))
    images = [decode(jpeg) for jpeg in jpegs(pictures, 40, 48)[0]]
    assert {image.shape for image in images} == {(40, 48, 3)} and greys(images) == list(range(13))


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_a_bad_image_of_a_folder_is_named(pictures, content, capfd):
    content = (pictures / "i_7.jpg").read_bytes()[:20] if content is None else content
    (pictures / "i_7.jpg").write_bytes(content)
    with pytest.raises(DataError, match="i_7.jpg: not an image of a kind that is read; replace"):
        jpegs(pictures, 40, 48)
    assert capfd.readouterr() == ("", "")


def test_a_folder_is_no_image_and_a_link_to_nowhere_is_a_bad_one(pictures):
    (pictures / "i_99.jpg").mkdir()
    assert len(jpegs(pictures, 40, 48)[0]) == 12
    (pictures / "i_7.jpg").unlink()
    (pictures / "i_7.jpg").symlink_to(pictures / "gone.jpg")
    with pytest.raises(DataError, match="i_7.jpg: no such file; replace"):
        jpegs(pictures, 40, 48)


def write_series(folder, name, count=4, grey=False, first=1):
    """Images NAME.format(1), ... of 40x48 pixels: those in colour are blue."""
    folder.mkdir(exist_ok=True)
    image = np.full((40, 48), 128, np.uint8) if grey else np.full((40, 48, 3), (200, 10, 10), np.uint8)
    for i in range(first, first + count):
        cv2.imwrite(str(folder / name.format(i)), image)


@pytest.mark.parametrize(
    "others",
    [
        [("flow_x_{:05}.jpg", True), ("flow_y_{:05}.jpg", True)],
        [("x_{:04}.jpg", True), ("y_{:04}.jpg", True)],
        [("u_{:04}.png", True), ("v_{:04}.png", True)],
        [("flow_image_v_Run_g01_c01.{:04}.jpg", False)],
        [("thumb_{:05}.jpg", False), ("depth{:05}.png", True)],
        [("frame{:06}_thumbnail.jpg", False)],
        [("grey_{:05}.jpg", True)],
    ],
    ids=lambda others: others[0][0],
)
@pytest.mark.parametrize("name", ["img_{:05}.jpg", "frame{}.jpg", "v_Run_g01_c01.{:04}.jpg", "{:06}.png"])
def test_of_a_folder_with_other_images_the_frames_are_taken(tmp_path, name, others):
    write_series(tmp_path / "v", name, 12)
    for other, grey in others:
        write_series(tmp_path / "v", other, 11, grey)
    write_series(tmp_path / "v", "cover.jpg", 1)
    assert [path.name for path in frames_in(tmp_path / "v")] == [name.format(i) for i in range(1, 13)]


def test_a_grey_video_has_its_frames_beside_its_flow_even_a_single_one(tmp_path):
    for name in ("img_{:05}.jpg", "flow_x_{:05}.jpg", "flow_y_{:05}.jpg"):
        write_series(tmp_path / "v", name, 1, grey=True)
    assert [path.name for path in frames_in(tmp_path / "v")] == ["img_00001.jpg"]


def test_flow_alone_and_images_without_numbers_are_taken_as_they_are(tmp_path):
    write_series(tmp_path / "flow", "flow_{:05}.jpg", 12)
    assert len(frames_in(tmp_path / "flow")) == 12
    for name in ("a.jpg", "c.jpg", "b.jpg"):
        write_series(tmp_path / "named", name, 1)
    assert [path.name for path in frames_in(tmp_path / "named")] == ["a.jpg", "b.jpg", "c.jpg"]


@pytest.mark.parametrize(
    "one, other, first",
    [
        ("img_{:05}.jpg", "image_{:04}.jpg", "img_00001.jpg"),
        ("img_{:05}.jpg", "img_{}.jpg", "img_00001.jpg"),
        ("img_{:05}.jpg", "img_{:05}.png", "img_00001.jpg"),
        ("img_{:05}.jpg", "img_{:05}.JPG", "img_00001.jpg"),
        ("cam1_{:04}.jpg", "cam2_{:04}.jpg", "cam1_0001.jpg"),
    ],
)
def test_two_series_that_may_be_the_frames_are_both_named(tmp_path, one, other, first):
    write_series(tmp_path / "v", one, 12)
    write_series(tmp_path / "v", other, 12)
    with pytest.raises(DataError, match="its images are of several series, and .*; leave one series") as error:
        jpegs(tmp_path / "v", 40, 48)
    assert "(12)" in str(error.value)
    assert all(f"{name.format(1)} ... {name.format(12)}" in str(error.value) for name in (one, other))


def test_two_grey_series_of_flow_alone_are_refused(tmp_path):
    write_series(tmp_path / "v", "flow_x_{:05}.jpg", 11, grey=True)
    write_series(tmp_path / "v", "flow_y_{:05}.jpg", 11, grey=True)
    with pytest.raises(DataError, match=r"flow_x_00001.jpg ... flow_x_00011.jpg \(11\) or flow_y_00001.jpg"):
        frames_in(tmp_path / "v")


@pytest.mark.parametrize(
    "names",
    [
        [f"12-{minute:02}-{second:02}.jpg" for minute, second in [(0, 58), (0, 59), (1, 0), (1, 1), (2, 0), (2, 1)]],
        [f"{second}_{1000 * frame // 25:03}.jpg" for second in (1, 2) for frame in range(25)],
        [f"img_{i:04}.jpg" for i in (9998, 9999, 10000, 10001)],
        [f"IMG_{i}.{'JPG' if i % 2 else 'jpeg'}" for i in range(5)],
    ],
    ids=["times", "milliseconds", "more places than padded", "suffixes by turns"],
)
def test_numbers_of_several_parts_are_one_series(tmp_path, names):
    for name in names:
        write_series(tmp_path / "v", name, 1)
    assert [path.name for path in frames_in(tmp_path / "v")] == names


@pytest.mark.parametrize("size", [(40, 60), (60, 40), (20, 30)])
@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
def test_images_that_exif_turns_are_stored_upright_without_it(tmp_path, kind, turn, size):
    (tmp_path / "v").mkdir()
    stored = np.zeros((40, 60, 3), np.uint8)
    stored[:10], stored[10:, :30] = (0, 255, 0), (255, 0, 0)
    exif = Image.Exif()
    exif[0x0112] = turn
    Image.fromarray(stored).save(tmp_path / f"v/1.{kind}", exif=exif)
    with Image.open(tmp_path / f"v/1.{kind}") as image:
        seen = np.asarray(ImageOps.exif_transpose(image).convert("RGB").resize(size[::-1]))[..., ::-1].astype(float)
    (jpeg,), _, _ = jpegs(tmp_path / "v", *size)
    as_seen, as_stored = decode(jpeg), decode(jpeg, cv2.IMREAD_UNCHANGED)
    assert np.array_equal(as_seen, as_stored), "Caffe's Data layer does not turn it"
    assert np.abs(as_seen - seen).mean() < 12  # the edges of the colours, JPEG's and the sizes'


# ---- what a header claims ----------------------------------------------------------------------------------


def of_rate(path, scale, rate):
    """An AVI of 6 frames whose header tells rate / scale frames a second."""
    content = bytearray(write_video(path).read_bytes())
    strh, avih = content.index(b"strh"), content.index(b"avih")
    struct.pack_into("<II", content, strh + 8 + 20, scale, rate)
    struct.pack_into("<I", content, avih + 8, min(1_000_000 * scale // rate, 2**32 - 1))
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("scale, rate", [(100_000, 1), (2**31 - 1, 1), (3600, 1)])
def test_a_frame_rate_of_hours_is_refused_before_its_frames_are_repeated(tmp_path, scale, rate):
    path = of_rate(tmp_path / "a.avi", scale, rate)
    with pytest.raises(DataError, match="a.avi: by the times in it .* would repeat another at 30 a second"):
        jpegs(path, 40, 48, fps=30)
    assert len(jpegs(path, 40, 48)[0]) == 6  # as they are


def test_a_gap_of_hours_between_two_frames_is_refused(tmp_path, monkeypatch):
    path = variable_rate(tmp_path / "a.mkv", [0, 40, 80, 32_000])
    assert len(jpegs(path, 40, 48, fps=30)[0]) == 961
    monkeypatch.setenv("LRCN_MAX_REPEATS", "900")
    with pytest.raises(
        DataError, match="a.mkv: by the times in it its frame 4 comes 32 s after the first, .* 900 frames"
    ):
        jpegs(path, 40, 48, fps=30)
    monkeypatch.setenv("LRCN_MAX_REPEATS", "1000")
    assert len(jpegs(path, 40, 48, fps=30)[0]) == 961


@pytest.mark.parametrize("fps", [1e9, 1e300])
def test_a_rate_that_repeats_frames_without_end_is_refused(tmp_path, fps):
    with pytest.raises(DataError, match="would repeat another at .* a second"):
        jpegs(write_video(tmp_path / "a.avi"), 40, 48, fps=fps)


def test_frames_of_too_many_pixels_are_refused(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.avi")
    monkeypatch.setenv("LRCN_MAX_PIXELS", str(48 * 40))
    assert len(jpegs(path, 40, 48)[0]) == 6
    monkeypatch.setenv("LRCN_MAX_PIXELS", str(48 * 40 - 1))
    with pytest.raises(DataError, match="a.avi: says that it is 48 x 40 pixels"):
        jpegs(path, 40, 48)


def test_frames_of_more_bytes_than_memory_are_refused_and_repeated_ones_count_once(tmp_path, monkeypatch):
    monkeypatch.setattr(frames, "check_bytes", lambda count, where, error: sizes.append(count))
    sizes = []
    encoded, *_ = jpegs(write_video(tmp_path / "a.avi", frames=4), 40, 48, fps=100)
    assert len(encoded) > 30 and sizes[-1] == sum(map(len, set(encoded))) and len(sizes) == 4
    assert len({id(jpeg) for jpeg in encoded}) == 4


@pytest.mark.parametrize("content", [b"ffconcat version 1.0\nfile a.avi\n", b"#EXTM3U\n#EXTINF:10,\na.avi\n"])
def test_a_playlist_is_no_video(tmp_path, content):
    write_video(tmp_path / "a.avi")
    (tmp_path / "list.avi").write_bytes(content)
    with pytest.raises(DataError, match="list.avi: not a readable video"):
        list(VideoFile(tmp_path / "list.avi"))


def test_a_name_that_looks_like_an_address_is_a_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "concat:a.avi")
    assert len(list(VideoFile("concat:a.avi"))) == 6


def test_images_of_too_many_pixels_are_refused_by_their_headers(pictures, monkeypatch):
    monkeypatch.setenv("LRCN_MAX_PIXELS", str(48 * 40))
    assert len(jpegs(pictures, 40, 48)[0]) == 12
    (pictures / "i_2.png").write_bytes(claiming(30_000, 30_000))
    (pictures / "i_2.jpg").unlink()
    with pytest.raises(DataError, match="i_2.png: says that it is 30000 x 30000 pixels"):
        jpegs(pictures, 40, 48)


def claiming(width, height):
    """A PNG of one row whose header tells this size."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(bytes(100)))]
    parts = [struct.pack(">I", len(c)) + name + c + struct.pack(">I", zlib.crc32(name + c)) for name, c in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_a_pipe_among_the_frames_is_none(pictures):
    os.mkfifo(pictures / "i_13.jpg")
    with pytest.raises(DataError, match="i_13.jpg: not an image of a kind that is read; replace"):
        jpegs(pictures, 40, 48)


def test_a_video_whose_times_are_beyond_bounds_is_skipped_as_others_are(tmp_path):
    for name in ("a", "b", "c"):
        for class_name in ("A", "B"):
            write_video(tmp_path / "v" / class_name / f"{class_name}{name}.avi")
    of_rate(tmp_path / "v" / "A" / "odd.avi", 100_000, 1)
    with pytest.raises(DataError, match="odd.avi: by the times in it"):
        prepare_small(tmp_path / "v", None, tmp_path / "d", algorithm=None, fps=30)
    data = prepare_small(tmp_path / "v", None, tmp_path / "d", algorithm=None, fps=30, skip_unreadable=True)
    assert "A/odd.avi\tby the times in it" in (data / "skipped.tsv").read_text()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"fps": math.nan}, "--fps nan: no number of frames a second"),
        ({"fps": math.inf}, "--fps inf: no number of frames a second"),
        ({"height": 65_501}, "--size 65501 48: a JPEG has 65500 a side at most"),
        ({"height": 65_500, "width": 65_500}, "--size: says that it is 65500 x 65500 pixels"),
    ],
)
def test_frames_that_cannot_be(tmp_path, options, message):
    with pytest.raises(DataError, match=message):
        prepare_small(tmp_path, None, tmp_path / "d", **options)
