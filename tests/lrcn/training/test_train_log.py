"""Caffe's log, read: curves. The lines are in the form of BVLC's and of the derivative's log."""

from lrcn.training.run import Run

LOG = """I1121 06:00:00.000001    99 solver.cpp:330] Iteration 0, Testing net (#0)
I1121 06:00:00.000002    99 solver.cpp:397]     Test net output #0: accuracy = 0.125
I1121 06:00:00.000003    99 solver.cpp:397]     Test net output #1: loss = 2.1 (* 1 = 2.1 loss)
I1121 06:00:00.000004    99 solver.cpp:218] Iteration 0 (0 iter/s, 0.1s/20 iters), loss = 2.0794
I1121 06:00:00.000005    99 solver.cpp:237]     Train net output #0: accuracy = 0.25
I1121 06:00:00.000006    99 sgd_solver.cpp:105] Iteration 0, lr = 0.001
I1121 06:00:01.000004    99 solver.cpp:218] Iteration 20, loss = 1.5e-02
I1121 06:00:01.000005    99 solver.cpp:237]     Train net output #0: accuracy = 1
"""


def test_curve_has_a_row_an_iteration_and_the_later_run_wins(tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "from-0000000.log").write_text(LOG)
    (tmp_path / "logs" / "from-0000020.log").write_text(
        "I1121 06:00:02.0 99 solver.cpp:218] Iteration 20 (1 iter/s, 1s/20 iters), loss = 0.5\n"
    )
    zero, twenty = Run(tmp_path).curve()
    assert zero == {
        "iteration": 0,
        "test accuracy": 0.125,
        "test loss": 2.1,
        "loss": 2.0794,
        "train accuracy": 0.25,
        "lr": 0.001,
    }
    assert twenty == {"iteration": 20, "loss": 0.5, "train accuracy": 1.0}
    Run(tmp_path).draw_curve()
    assert (tmp_path / "curve.csv").read_text().splitlines()[0].startswith("iteration,")
    assert (tmp_path / "curve.png").read_bytes()[:4] == b"\x89PNG"
