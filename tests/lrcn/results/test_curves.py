"""Pictures of curves: what is drawn, as Matplotlib holds it."""

import pytest

from lrcn.results import curves

ROWS = [
    {"iteration": 0, "test accuracy": 0.1, "test-on-train accuracy": 0.2, "test loss": 3.0, "loss": 3.1, "lr": 0.01},
    {"iteration": 5, "loss": 2.0, "train accuracy": 0.5, "train loss": 2.5, "lr": 0.001},
    {"iteration": 9, "test accuracy": 0.634, "test-on-train accuracy": 0.7, "test loss": 1.5, "loss": 1.0},
]


@pytest.fixture
def panels(monkeypatch, tmp_path):
    """By what stands at their axes, the panels of the picture that a call of `curves` draws."""

    def draw(function, *arguments):
        drawn = []
        monkeypatch.setattr(curves, "save", lambda figure, path: drawn.append(figure))
        function(*arguments, tmp_path / "a.png")
        return {axes.get_ylabel(): axes for axes in drawn[0].axes}

    return draw


def test_a_training_has_a_colour_a_quantity_and_marks_on_tests(panels):
    drawn = panels(curves.of_training, ROWS, "net")
    assert list(drawn) == ["loss", "percent right", "learning rate"]
    for axes in drawn.values():
        for line in axes.lines:
            assert (line.get_marker() == "o") == line.get_label().startswith("test")
    losses = {line.get_label(): line for line in drawn["loss"].lines}
    assert losses["training loss, as displayed"].get_color() == losses["training, a batch: loss"].get_color()
    shares = {line.get_label(): line for line in drawn["percent right"].lines}
    assert len({line.get_color() for line in shares.values()}) == len(shares) == 3
    test = shares["test: accuracy, last 63 %"]
    assert list(test.get_xdata()) == [0, 9] and list(test.get_ydata()) == pytest.approx([10, 63.4])
    assert test.get_color() == losses["test: loss, last 1.5"].get_color()
    assert [label.get_text() for label in drawn["learning rate"].get_yticklabels()] == ["0.001", "0.01"]
    assert "loss" not in panels(curves.of_training, [{"iteration": 0, "test accuracy": 1.0}], "net")


def test_what_a_batch_says_again_is_not_drawn_twice(panels):
    same = [{"iteration": i, "loss": i / 2, "train loss": i / 2} for i in range(3)]
    assert len(panels(curves.of_training, [*same, {"iteration": 3, "loss": 1.5}], "net")["loss"].lines) == 1


def test_trainings_have_a_colour_each(panels):
    drawn = panels(curves.of_trainings, {"a": ROWS, "b": ROWS[:2], "c": ROWS[1:]}, "three")
    named = {line.get_label(): line.get_color() for line in drawn["loss"].lines if line.get_label()[0] != "_"}
    assert list(named) == ["a", "b", "c"] and len(set(named.values())) == 3
    assert {line.get_color() for line in drawn["percent right"].lines} == set(named.values())
    assert {line.get_marker() for line in drawn["percent right"].lines} == {"o"}  # batches are left out
    many = panels(curves.of_trainings, {str(number): ROWS for number in range(9)}, "nine")["loss"]
    looks = {(line.get_color(), line.get_linestyle()) for line in many.lines if line.get_label()[0] != "_"}
    assert len(looks) == 9


def test_tests_on_training_data_are_of_one_training_alone(panels):
    drawn = panels(curves.of_trainings, {"a": ROWS, "b": ROWS}, "two")["percent right"]
    assert [list(line.get_ydata()) for line in drawn.lines] == [[10, pytest.approx(63.4)]] * 2


def test_learning_rates_of_whatever_number_are_numbers(panels):
    rows = [{"iteration": i, "loss": 1.0, "lr": 0.1 / 2**i} for i in range(9)]
    axes = panels(curves.of_training, rows, "net")["learning rate"]
    axes.figure.canvas.draw()
    for label in axes.get_yticklabels(which="both"):
        assert not label.get_text() or float(label.get_text()) > 0
