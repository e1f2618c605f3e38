"""Pictures: what stands where, held against the geometry of what was drawn and against the pixels of the file."""

import resource
import string
from itertools import combinations

import cv2
import numpy as np
import pytest
from matplotlib.text import Text

from data_prep import DataError
from lrcn.results import confusion, pictures
from lrcn.results.lettering import class_in_words, families, fitted, lettering, plain, width, wrapped

HOSTILE = [
    "$\\frac{$",
    "a\nb\x00\x1b[31m",
    "\u202egnp.exe",
    "\ud800",
    "<b>&amp;",
    "",
    "\u8d70\u308b",
    "\u0645\u0631\u062d\u0628\u0627",
    "x" * 3000,
]
DATA = "UCF-101: 101 classes, 3783 test videos, split 1"


def made(classes, videos=40, seed=1):
    """A confusion matrix of so many classes: three of four videos right."""
    counts = np.random.default_rng(seed).multinomial(videos // 4, np.ones(classes) / classes, size=classes)
    counts += np.eye(classes, dtype=int) * 3 * (videos // 4)
    return {"confusion": counts.tolist(), "accuracy": 100 * np.trace(counts) / counts.sum()}


def test_what_lrcn_drew_is_drawn_over_and_nothing_else(tmp_path):
    ours, others, folder = tmp_path / "ours.png", tmp_path / "photo.png", tmp_path / "folder.png"
    pictures.save(pictures.new_figure(), ours)
    pictures.check_drawn_over([ours, tmp_path / "none.png"])
    cv2.imwrite(str(others), np.zeros((8, 8, 3), np.uint8))
    folder.mkdir()
    for path in others, folder:
        with pytest.raises(DataError, match=f"^{path}: is there already, and was not drawn by lrcn; move it, or give"):
            pictures.check_drawn_over([ours, path])


def test_drawing_leaves_the_plots_of_its_caller_alone(tmp_path):
    from matplotlib import pyplot

    pyplot.switch_backend("svg")  # any but the one that pictures are written with
    mine = pyplot.figure()
    pictures.save(pictures.new_figure(), tmp_path / "ours.png")
    assert pyplot.get_backend() == "svg" and pyplot.get_fignums() == [mine.number]
    pyplot.close(mine)


def names(count):
    return [f"{first}un{second}ast" for first in string.ascii_uppercase for second in string.ascii_uppercase][:count]


@pytest.fixture
def figures(monkeypatch):
    """Those that are drawn, in place of files."""
    drawn = []
    for module in pictures, confusion:
        monkeypatch.setattr(module, "save", lambda figure, path, vector=False: drawn.append(figure))
    return drawn


def extents(figure, kind):
    """Of all that is drawn of a kind, in pixels, by what it says."""
    figure.canvas.draw()
    return {each.get_text(): each.get_window_extent() for each in figure.findobj(kind) if each.get_text().strip()}


@pytest.mark.parametrize("classes", [2, 6, 30, 31, 101])
def test_the_colour_bars_are_as_tall_as_the_matrix(classes, figures):
    confusion.draw(made(classes), names(classes), "LRCN-fc6, RGB", DATA, None)
    figures[0].canvas.draw()
    [matrix] = figures[0].axes
    bars = [axes.bbox for axes in matrix.child_axes]
    assert len(bars) == 2
    for bar in bars:
        assert bar.y0 == pytest.approx(matrix.bbox.y0, abs=0.5) and bar.y1 == pytest.approx(matrix.bbox.y1, abs=0.5)
        assert matrix.bbox.x1 < bar.x0 < bar.x1 < matrix.bbox.x1 + 0.6 * figures[0].dpi


@pytest.mark.parametrize("classes", [2, 101])
def test_a_picture_has_no_empty_margins_and_nothing_is_cut_off(classes, tmp_path):
    """Ink reaches to within the margin of each side, and the margin is white."""
    path = tmp_path / "c.png"
    confusion.draw(made(classes), names(classes), "a title " * 40, "\u8d70\u308b " * 60, path)
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    rows, columns = np.flatnonzero((image < 250).any(1)), np.flatnonzero((image < 250).any(0))
    margin = 0.12 * 150
    for before, after in (rows[0], image.shape[0] - 1 - rows[-1]), (columns[0], image.shape[1] - 1 - columns[-1]):
        assert all(margin - 4 <= side <= margin + 10 for side in (before, after))
    assert path.with_suffix(".pdf").read_bytes().startswith(b"%PDF") and len(list(tmp_path.iterdir())) == 2


def test_no_two_names_of_101_classes_lie_over_each_other(figures):
    confusion.draw(made(101), names(101), "LRCN-fc6, RGB", DATA, None)
    figures[0].canvas.draw()
    labels = [label.get_window_extent() for label in figures[0].axes[0].get_yticklabels()]
    assert len(labels) == 101
    for upper, lower in zip(labels, labels[1:]):
        assert lower.y1 <= upper.y0 + 1
    assert min(label.height for label in labels) * 150 / figures[0].dpi >= 10  # pixels of the file


@pytest.mark.parametrize("classes", [2, 8, 40])
def test_no_text_lies_over_another(classes, figures):
    confusion.draw(made(classes), names(classes), "LRCN-fc6, 1/3 RGB + 2/3 flow", DATA, None)
    confusion.draw_zoomed(made(classes), names(classes), "single frame, " * 12, DATA, None)
    for figure in figures:
        figure.canvas.draw()
        texts = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
        check_apart([text for text in texts if not text.get_text().isdigit()])


def check_apart(texts):
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
    for (one, a), (other, b) in combinations(boxes, 2):
        across, down = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert across < 2 or down < 2, (one, other)


def test_small_shares_of_wrong_answers_are_seen(tmp_path):
    """One video of a hundred in the wrong cell is another colour than none, and another hue than a right one."""
    counts = [[99, 1], [0, 100]]
    confusion.draw({"confusion": counts, "accuracy": 99.5}, ["a", "b"], "net", "data", tmp_path / "c.png")
    image = cv2.imread(str(tmp_path / "c.png")).astype(int)
    colours = {tuple(map(int, colour)) for colour in image.reshape(-1, 3)}
    pale = [(b, g, r) for b, g, r in colours if r > 245 and r - b > 12 and b > 200]  # a light orange
    assert any((image == colour).all(-1).sum() > 10_000 for colour in pale)


def test_classes_that_are_confused_stand_together():
    """Blocks of five that are confused among themselves, shuffled, come together again."""
    rng = np.random.default_rng(3)
    block = rng.permutation(60) // 5
    counts = 4 * (block[:, None] == block) + 30 * np.eye(60, dtype=int)
    order = confusion.together(counts)
    assert sorted(order) == list(range(60))
    assert (np.diff(block[order]) != 0).sum() == 11  # twelve blocks, each in one piece
    assert confusion.together(np.eye(4, dtype=int)) == [0, 1, 2, 3]
    assert confusion.together(np.zeros((3, 3), int)) == [0, 1, 2]


def test_the_zoom_has_the_most_confused_pairs_and_leaves_no_video_out(figures):
    counts = 40 * np.eye(50, dtype=int)
    counts[7, 31], counts[12, 3], counts[20, 21] = 30, 20, 1
    confusion.draw_zoomed({"confusion": counts, "accuracy": 97.0}, names(50), "net", DATA, None)
    axes = figures[0].axes[0]
    rows = [label.get_text() for label in axes.get_yticklabels()]
    assert {class_in_words(names(50)[c]) for c in (7, 31, 12, 3)} <= set(rows) and len(rows) == 6
    percent = {text.get_position(): int(text.get_text()) for text in axes.texts if text.get_text().isdigit()}
    for row in range(len(rows)):
        assert sum(percent.get((column, row), 0) for column in range(7)) == pytest.approx(100, abs=1)


@pytest.mark.parametrize("models", [["lrcn-fc6"], ["lrcn-fc6", "lrcn-fc7"]])
def test_no_legend_lies_over_a_line_and_chance_is_marked(models, figures):
    columns = {"rgb": {"video": [50.0, 60.0], "clip": [40.0, 45.0]}, "flow": {"video": [20.0, 99.0]}}
    pictures.over_time(dict.fromkeys(models, columns), 8, DATA, None)
    sweep = {"rgb_weight": [0.0, 0.5, 1.0], "accuracy": [60.0, 100.0, 70.0]}
    pictures.fusion(dict.fromkeys(["single-frame", *models], sweep), 8, DATA, None)
    for figure in figures:
        figure.canvas.draw()
        legend = figure.axes[-1].get_legend().get_window_extent()
        for axes in figure.axes:
            assert not legend.overlaps(axes.get_window_extent())
            levels = [line.get_ydata()[0] for line in axes.lines if line.get_label().startswith("chance")]
            assert levels == [12.5]
            looks = [(line.get_color(), line.get_marker()) for line in axes.lines if line.get_label()[0] != "_"]
            assert len({*looks}) >= len({colour for colour, _ in looks}) > 1


def test_the_same_thing_has_the_same_colour_everywhere(figures):
    pictures.over_time({"lrcn-fc6": {"flow": {"video": [1.0]}}, "lrcn-fc7": {"flow": {"clip": [1.0]}}}, 8, DATA, None)
    first = {axes.lines[0].get_color() for axes in figures[0].axes}
    assert first == {pictures.COLOURS["flow"]}


@pytest.mark.parametrize("count", [1, 5, 12])
def test_captions_are_whole_marked_and_with_references(count, figures):
    images = [np.zeros((60 + 20 * k, 80, 3), np.uint8) for k in range(count)]
    long = "a caption that goes on and on " * 3
    wrong = pictures.Caption("lrcn-2f", long, ["place", "size"])
    captions = [[wrong, pictures.Caption("lrcn-1u", "right", []), pictures.Caption("1nn", "unknown")]] * count
    pictures.captioned(images, captions, [["what a person said"] * 5] * count, "Captions", DATA, None)
    figures[0].canvas.draw()
    texts = [text for text in figures[0].findobj(Text) if text.get_text()]
    words = " ".join(text.get_text() for text in texts)
    for expected in "\u2717 lrcn-2f: a caption", "wrong: place, size", "\u2713 lrcn-1u: right", "reference: what", DATA:
        assert expected in words
    assert "\u2713 1nn" not in words and "\u2717 1nn" not in words and words.count("reference:") == 5 * count
    check_apart(texts)


def test_a_classified_video_has_its_answer_above_and_whole_frames_below(figures):
    scores = np.array([0.1, 0.7, 0.2])
    by_frame = np.tile(scores, (3, 1))
    images = [np.zeros((24, 32, 3), np.uint8)] * 3
    pictures.classified(images, by_frame, scores, ["SpinLeft", "spin_right", "up"], None, "v.avi: LRCN-fc6", None)
    words = extents(figures[0], Text)
    assert "spin right, 70 %" in words and "v.avi: LRCN-fc6" in words
    ticks = [tick.get_text() for tick in figures[0].axes[1].get_xticklabels() if tick.get_text()]
    assert ticks and all(tick.isdigit() for tick in ticks)


def test_hostile_names_are_drawn_or_replaced(tmp_path):
    image = np.zeros((20, 30, 3), np.uint8)
    confusion.draw(made(len(HOSTILE)), HOSTILE, HOSTILE[0], HOSTILE[1], tmp_path / "a.png")
    data, scores = " ".join(HOSTILE), np.linspace(0, 1, len(HOSTILE))
    pictures.over_time({"lrcn-fc6": {"rgb": {"video": [1.0]}}}, 2, data, tmp_path / "b.png")
    pictures.fusion({"lrcn-fc6": {"rgb_weight": [0, 1], "accuracy": [1, 2]}}, 2, data, tmp_path / "c.png")
    said = [pictures.Caption(name, name, [name]) for name in HOSTILE]
    pictures.captioned([image], [said], [HOSTILE], HOSTILE[0], HOSTILE[2], tmp_path / "d.png")
    pictures.classified([image], scores[None], scores, HOSTILE, 25.0, HOSTILE[3], tmp_path / "e.png")
    pictures.described(image, [(-1.0, name) for name in HOSTILE], tmp_path / "f.png")
    for name in "abcdef":
        height, breadth, _ = cv2.imread(str(tmp_path / f"{name}.png")).shape
        assert 100 < breadth < 4000 and 100 < height < 12_000, name
    assert not list(tmp_path.glob("*.part"))


def test_names_of_classes_in_words():
    words = {
        "ApplyEyeMakeup": "Apply Eye Makeup",
        "brush_hair": "brush hair",
        "YoYo": "Yo Yo",
        "TVShow": "TV Show",
        "v_9": "v 9",
        "plain": "plain",
        "_": "\ufffd",
        "a\tb\x07": "a b\ufffd",
    }
    assert {name: class_in_words(name) for name in words} == words


def test_text_is_measured_folded_and_cut_as_it_is_drawn():
    from matplotlib.figure import Figure

    with lettering():
        text = Figure(dpi=720).text(0, 0, "Wide words, $5 each", fontsize=9)
        drawn = text.get_window_extent().width / 720
        assert width("Wide words, $5 each", 9) == pytest.approx(drawn, rel=0.02)
        long = "one two three " * 30
        lines = wrapped(long.strip(), 2, 8)
        assert " ".join(lines) == long.strip() and max(width(line, 8) for line in lines) <= 2
        assert len(wrapped(long, 2, 8, most=3)) == 3 and wrapped(long, 2, 8, most=3)[-1].endswith("\u2026")
        cut = wrapped("x" * 500, 2, 8)
        assert "".join(cut) == "x" * 500 and max(width(line, 8) for line in cut) <= 2
        assert fitted("short", 2, 8) == "short" and width(fitted("x" * 500, 2, 8), 8) <= 2
    assert plain("a \n\tb\x00\u202e\u200d") == "a b\ufffd\ufffd\u200d"


def test_a_letter_that_the_usual_font_lacks_comes_from_one_that_has_it(tmp_path, monkeypatch):
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen
    from matplotlib import font_manager

    pen = TTGlyphPen(None)
    for step, point in enumerate([(0, 0), (0, 700), (900, 700), (900, 0)]):
        (pen.lineTo if step else pen.moveTo)(point)
    pen.closePath()
    square, font = pen.glyph(), FontBuilder(1000, isTTF=True)
    font.setupGlyphOrder([".notdef", "walk"])
    font.setupCharacterMap({0x8D70: "walk"})
    font.setupGlyf({".notdef": square, "walk": square})
    font.setupHorizontalMetrics({".notdef": (1000, 0), "walk": (1000, 0)})
    font.setupHorizontalHeader(ascent=800, descent=-200)
    font.setupNameTable({"familyName": "Walking", "styleName": "Regular"})
    font.setupOS2()
    font.setupPost()
    font.save(tmp_path / "walking.ttf")
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [*font_manager.fontManager.ttflist])
    font_manager.fontManager.addfont(str(tmp_path / "walking.ttf"))
    assert families(["plain"]) == ["DejaVu Sans"]
    assert "Walking" in families(["plain \u8d70"])


def test_a_picture_that_cannot_be_written_is_named_and_leaves_nothing(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
    try:
        with pytest.raises(DataError, match="c.png: no space left"):
            confusion.draw(made(6), names(6), "net", DATA, tmp_path / "c.png")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_frames_have_whole_numbers_however_few(figures, frames):
    column = {"video": [50.0] * frames, "clip": [40.0] * frames}
    pictures.over_time({"lrcn-fc6": {"rgb": column}}, 8, DATA, None)
    images = [np.zeros((90, 120, 3), np.uint8)] * frames
    pictures.classified(images, np.full((frames, 2), 0.5), np.array([0.5, 0.5]), ["A", "B"], 12, "v", None)
    for figure in figures:
        figure.canvas.draw()
        labels = [each.get_text() for each in figure.axes[-1].get_xticklabels()]
        assert labels and all(label.isdigit() for label in labels)


@pytest.mark.parametrize("frames, sides", [(1, (240, 320)), (2, (320, 240)), (8, (64, 80))])
def test_frames_of_a_classified_video_are_not_squeezed(figures, frames, sides):
    images = [np.zeros((*sides, 3), np.uint8)] * frames
    pictures.classified(images, np.full((frames, 2), 0.5), np.array([0.5, 0.5]), ["A", "B"], 12, "v", None)
    figures[0].canvas.draw()
    drawn = [image.get_window_extent() for image in figures[0].axes[0].images]
    assert len(drawn) == frames
    for box in drawn:
        assert box.height / box.width == pytest.approx(sides[0] / sides[1], rel=0.05)  # between them is a gap of 4 %


def test_captions_of_images_of_any_proportions_stay_in_their_columns(figures):
    shapes = [(48, 64), (2000, 20), (20, 2000), (1, 1)]
    captions = [[pictures.Caption(f"{number}", "a man " * 30)] for number in range(4)]
    images = [np.zeros((*shape, 3), np.uint8) for shape in shapes]
    pictures.captioned(images, captions, [[f"{number} people say " * 9] for number in range(4)], "t", "d", None)
    figures[0].canvas.draw()
    cells = [
        [text.get_window_extent() for text in axes.texts if text.get_text() not in "td"] for axes in figures[0].axes
    ]
    pictures_ = [axes.images[0].get_window_extent() for axes in figures[0].axes]
    for number, (texts, picture) in enumerate(zip(cells, pictures_)):
        left = number * 3.3 * figures[0].dpi
        assert len(texts) >= 5 and picture.x0 == pytest.approx(left, abs=1)
        for text in texts:
            assert text.x0 == pytest.approx(left, abs=2) and text.x1 < left + 3.3 * figures[0].dpi
            assert text.y1 <= picture.y0 + 1 <= cells[0][0].y1 + 10
