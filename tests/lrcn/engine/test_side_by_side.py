"""Parts side by side, without Caffe: what waits for what, how many at a time, and how they end. No test waits for a
clock: what is said to be at work at the same time meets at a barrier, which nobody leaves alone."""

import os
import signal
import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest

from lrcn.engine import blas, side_by_side
from lrcn.engine.compute import Compute
from lrcn.engine.device import Gpu
from lrcn.engine.engines import EngineError
from lrcn.engine.side_by_side import Part
from prototxt_gen import parse
from prototxt_gen.shapes import infer


@pytest.fixture(autouse=True)
def four_cores(monkeypatch):
    monkeypatch.setattr(side_by_side, "cores", lambda: 4)
    monkeypatch.setattr(blas, "cores", lambda: 4)
    monkeypatch.delenv(blas.VARIABLE, raising=False)


def compute(gpu=None, **more):
    """On an engine that computes nothing, and cards that are not there."""
    made = Compute(SimpleNamespace(environment=dict), **more)
    object.__setattr__(made, "gpu", gpu)
    return made


def run(parts, jobs=None, gpu=None, **more):
    return side_by_side.side_by_side(parts, compute(gpu, **more), jobs)


def test_parts_wait_for_what_they_start_from_and_for_nothing_else():
    """Two chains: the second part of one begins while the first of the other is still at work."""
    met, order = threading.Barrier(2), []

    def part(name, meets=False, after=()):
        def work(_):
            if meets:
                met.wait()
            order.append(name)
            return name

        return Part(work, after=after)

    parts = [part("rgb"), part("flow", True), part("lrcn-rgb", True, [0]), part("lrcn-flow", after=[1])]
    assert run(parts) == ["rgb", "flow", "lrcn-rgb", "lrcn-flow"]
    assert order.index("rgb") < order.index("lrcn-rgb") and order.index("flow") < order.index("lrcn-flow")


def begins(parts, jobs=None):
    """Which of such parts begin at first, before any is done: (threads, memory) of each."""
    return side_by_side._Order([Part(int, *part) for part in parts], jobs).begin()


def test_no_more_at_a_time_than_have_cores_memory_or_the_users_leave(monkeypatch):
    monkeypatch.setattr(side_by_side, "free_memory", lambda: 100)
    assert begins([(4, 0)] * 3) == [0]  # each takes all cores
    assert begins([(2, 0), (3, 0), (1, 0), (1, 0)]) == [0, 2, 3]
    assert begins([(1, 60), (1, 60), (1, 30)]) == [0, 2]
    assert begins([(9, 900)] * 2) == [0]  # one that has no room is tried all the same
    assert begins([(1, 0)] * 5, jobs=2) == [0, 1]
    assert begins([(4, 60)] * 5, jobs=3) == [0, 1, 2]  # the user's word goes before both
    met = threading.Barrier(3)
    run([Part(lambda _: met.wait(), 4, 60)] * 3, jobs=3)


def test_the_longest_way_goes_first():
    """Of one before four chains of two, of which the last is the longest."""
    sizes = [9, 2, 2, 2, 2, 4, 4, 4, 8]
    after = [(), (0,), (0,), (0,), (0,), (1,), (2,), (3,), (4,)]
    parts = [Part(int, after=each, size=size) for each, size in zip(after, sizes)]
    order, begun = side_by_side._Order(parts, 2), []
    while order.waiting or order.running:
        begun += order.begin()
        order.end(begun[len(order.done)])
    assert begun == [0, 4, 1, 8, 2, 3, 5, 6, 7]
    assert side_by_side.seconds(parts, 2, sizes) == 9 + 28 / 2
    assert side_by_side.seconds([replace(part, size=0.0) for part in parts], 2, sizes) == 9 + 2 + 2 + 4 + 8


def test_what_is_foreseen_is_what_the_order_gives():
    """The demo's five: 11, 6 and 75 s of RGB one after the other, beside 25 and 25 s of flow."""
    after = [(), (0,), (), (1,), (2,)]
    parts, taken = [Part(int, after=each) for each in after], [11.0, 6.0, 25.0, 75.0, 25.0]
    assert side_by_side.seconds(parts, 2, taken) == 11 + 6 + 75
    assert side_by_side.seconds(parts, 1, taken) == sum(taken)
    assert side_by_side.seconds(parts[:3], None, taken) == 25
    assert side_by_side.at_most(parts, None) == 2 and side_by_side.at_most(parts, None, on_gpus=True) == 1
    assert side_by_side.at_most(parts, 5) == 2 and side_by_side.at_most([parts[0], parts[1], parts[3]], 2) == 1
    assert [side_by_side.at_most([Part(int)] * count, None) for count in (0, 3, 5)] == [1, 3, 4]


def test_each_has_its_threads_and_the_users_word_goes_before(monkeypatch):
    parts = [Part(lambda given: given.environment().get(blas.VARIABLE), threads) for threads in (1, 2)]
    assert run(parts) == run(parts, 1) == ["1", "2"]
    monkeypatch.setenv(blas.VARIABLE, "3")
    assert run(parts) == ["3", "3"]
    assert compute().environment()[blas.VARIABLE] == "3"


def test_each_job_has_its_share_of_the_gpus(monkeypatch):
    monkeypatch.setattr("lrcn.engine.compute._check", lambda engine, gpu: None)
    met = threading.Barrier(2)

    def numbers(given):
        met.wait()
        return given.gpu.numbers

    four = Gpu((0, 1, 2, 3), "tf32")
    assert {*run([Part(numbers)] * 4, 4 // 2, four)} == {(0, 1), (2, 3)}
    assert run([Part(lambda given: given.gpu.numbers)] * 2, None, four) == [(0, 1, 2, 3)] * 2  # one after the other
    with pytest.raises(EngineError, match="^--jobs 2: GPU 0 cannot be shared out .* --gpu 0,1, or leave --jobs out$"):
        run([Part(numbers)] * 2, 2, Gpu())


@pytest.mark.parametrize("jobs", [0, -1])
@pytest.mark.parametrize("gpu", [None, Gpu((0, 1))])
def test_no_jobs_are_refused(jobs, gpu):
    with pytest.raises(EngineError, match=f"^--jobs {jobs}: give at least 1$"):
        run([Part(int)], jobs, gpu)


def test_where_one_fails_the_others_are_interrupted_and_its_error_is_raised():
    begun, ended = threading.Barrier(2), []

    def fails(_):
        begun.wait()
        raise ValueError("the loss is nan")

    def goes_on(given):
        begun.wait()
        given.ends.wait()
        ended.append("with a snapshot")
        given.check_ends()

    with pytest.raises(ValueError, match="the loss is nan"):
        run([Part(fails), Part(goes_on), Part(lambda _: ended.append("never"), after=[0])])
    assert ended == ["with a snapshot"]


def test_ctrl_c_interrupts_all():
    begun, ended = threading.Barrier(2), []

    def goes_on(given, presses):
        begun.wait()
        if presses:
            os.kill(os.getpid(), signal.SIGINT)
        given.ends.wait()
        ended.append(presses)
        given.check_ends()

    with pytest.raises(KeyboardInterrupt):
        run([Part(lambda given, presses=presses: goes_on(given, presses)) for presses in (True, False)])
    assert sorted(ended) == [False, True]


def test_progress_is_told_by_one_at_a_time():
    inside, told = threading.Lock(), []

    def progress(what, done, total):
        assert inside.acquire(blocking=False)
        told.append((what, done))
        inside.release()

    def work(given, name):
        for done in range(200):
            given.progress(name, done, 200)

    run([Part(lambda given, name=name: work(given, name)) for name in "ab"], progress=progress)
    assert [done for name, done in told if name == "a"] == [done for name, done in told if name == "b"]


def threads(layer, bottom):
    net = parse(f'layer {{ name: "data" type: "Input" top: "x" input_param {{ shape {{ {bottom} }} }} }} {layer}')
    return blas.threads_for([infer(net, "TRAIN")])


def test_threads_follow_from_the_products():
    """By hand: of 4 million multiply-adds of every product one thread gains."""
    dense = 'layer { name: "a" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 1000 } }'
    assert threads(dense, "dim: 7 dim: 1000") == 1  # 7e6
    assert threads(dense, "dim: 8 dim: 1000") == 2
    assert threads(dense, "dim: 64 dim: 1000") == 4  # 64e6, and four cores
    # 64 images, each a product of 8 x 27 x 900 = 0.2e6 alone, in 4 groups a quarter
    images = (
        'layer { name: "a" type: "Convolution" bottom: "x" top: "y" '
        "convolution_param { num_output: %d kernel_size: 3 } }"
    )
    assert threads(images % 8, "dim: 64 dim: 3 dim: 32 dim: 32") == 1
    assert threads(images % 400, "dim: 1 dim: 3 dim: 32 dim: 32") == 2  # 9.7e6
