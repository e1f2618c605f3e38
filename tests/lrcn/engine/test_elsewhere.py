"""What must agree between machines whose Caffe is to compute the same bits."""

import dataclasses

import pytest

from data_prep import DataError
from lrcn.engine import blas, compute
from lrcn.engine.elsewhere import Terms, check_begun
from tests.lrcn.engine.made_up import ENGINE


@pytest.fixture(autouse=True)
def engines(monkeypatch):
    """Those of the machine where the work is given out, and of the one where it is done."""
    there = [ENGINE, ENGINE]
    monkeypatch.delenv(blas.VARIABLE, raising=False)
    monkeypatch.setattr(compute, "find", lambda **_: there.pop(0))
    return there


def test_what_agrees_computes_with_the_threads_that_are_asked_for(monkeypatch):
    monkeypatch.setenv(blas.VARIABLE, "1")
    terms = Terms.of(compute.Compute())
    monkeypatch.setenv(blas.VARIABLE, "7")  # a worker's, from whoever began it
    with terms.kept() as kept:
        assert kept.environment()[blas.VARIABLE] == "1"


@pytest.mark.parametrize(
    "change, said",
    [
        ({"source": "pypi"}, "with Caffe pypi 99bd997 where bvlc 99bd997 is due"),
        ({"version": "0"}, "with Caffe bvlc 0 where bvlc 99bd997 is due"),
        ({"flags": "-O2"}, "compiler GNU 12.2.0 -O2 where GNU 12.2.0 -O3 is due"),
        ({"blas": "OpenBLAS 0.3.21 Zen"}, "BLAS OpenBLAS 0.3.21 Zen where OpenBLAS 0.3.21 Haswell is due"),
        ({"made_for": {"recipe": "0", "cpu": ""}}, "recipe of Caffe 0 where f3ad58b49c36 is due"),
    ],
)
def test_another_engine_is_refused(engines, change, said):
    engines[1] = dataclasses.replace(ENGINE, **change)
    terms = Terms.of(compute.Compute())
    with pytest.raises(DataError, match=said):
        terms.kept().__enter__()


def test_another_kind_of_processor_is_refused():
    terms = Terms.of(compute.Compute())
    terms.traits["kind of processor"] = "Abacus"
    with pytest.raises(DataError, match="kind of processor .* where Abacus is due"):
        terms.kept().__enter__()


def test_too_few_cores_for_the_threads_are_refused(monkeypatch):
    monkeypatch.setattr("lrcn.engine.elsewhere.cores", lambda: 16)
    terms = Terms.of(compute.Compute())
    monkeypatch.setattr("lrcn.engine.elsewhere.cores", lambda: 4)
    with pytest.raises(DataError, match="threads of the BLAS 4 where 16 is due"):
        terms.kept().__enter__()


def test_a_machine_without_an_engine(monkeypatch, tmp_path):
    terms = Terms.of(compute.Compute())
    monkeypatch.undo()
    monkeypatch.setenv("LRCN_CACHE", str(tmp_path))
    with pytest.raises(DataError, match="no Caffe engine: run `lrcn caffe build`"):
        terms.kept().__enter__()


def test_what_another_caffe_has_begun_is_not_gone_on_with(tmp_path):
    for _ in range(2):
        check_begun(tmp_path / "work", {"BLAS": "Haswell", "threads of the BLAS": "2"})
    with pytest.raises(
        DataError, match="was begun by another Caffe: threads of the BLAS 4 where 2 is due; go on where"
    ):
        check_begun(tmp_path / "work", {"BLAS": "Haswell", "threads of the BLAS": "4"})
