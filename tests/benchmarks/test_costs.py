"""The page of hours, disk and money: its tables are what the script makes of its inputs, by the right arithmetic."""

import re
import sys

import pytest

from tests.shared import ROOT

PAGE = ROOT / "docs" / "costs.md"


@pytest.fixture
def costs(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    yield __import__("costs")
    sys.modules.pop("costs")


@pytest.fixture
def given(costs):
    """Round numbers: a machine of 10 cores, a storage of 100 MB/s."""
    rates = {"frames": 10, "flow": 5, "writer": 100, "rgb_bytes": 1000, "flow_bytes": 500, "loader": 100}
    rates |= {"lrcn": 0.1, "single": 0.1, "crops": 1000}
    return costs.Inputs({"gpu_hour": 2, "machine_hour": 1}, {"cores": 10, "network": 100, "sharing": 0.5}, rates, {})


def test_the_page_has_what_the_script_makes_of_its_inputs(costs):
    page = PAGE.read_text(encoding="utf-8")
    assert costs.written(page, costs.Inputs.read()) == page
    rates = set(re.findall(r"^\| ([a-z_0-9]+) \| [\d.,]+ \| .* \| .* \|$", page, re.MULTILINE))
    assert rates == costs.Inputs.read().rates.keys()


def test_each_rate_says_where_it_comes_from(costs):
    assert all(value > 0 and unit and source for value, unit, source in costs.Inputs.read().said.values())


def test_preparing_takes_what_its_slowest_part_takes(costs, given):
    """3,600,000 frames: 100 core-hours of decoding, 200 of flow; 7.2 million images by one process, 20 h; 5.4 GB to the
    storage, 54 s; stills, 10 h of one process."""
    made = costs.of_videos(costs.Videos("toy", 120_000, 1, 1), given)
    assert (made.cores, made.bytes, made.still_bytes) == (300, 5.4e9, 3.6e9)
    assert made.hours(1, given, False) == (pytest.approx(30 + 10), "cores")
    assert made.hours(8, given, False) == (pytest.approx(20 + 10), "the process that writes")
    assert made.hours(8, given, True) == (pytest.approx(300 / 80 + 20 + 10), "the process that writes")


def test_nets_that_wait_for_each_other_bound_what_more_gpus_give(costs, given):
    data = costs.Videos("toy", 9537 * 10 / 30, 9537, 0)  # as many to train on as UCF-101's, none to test on
    chains = costs.trainings(data, given)
    hours = [0.1 * iterations / 3600 for iterations in (5000 + 30_000, 30_000, 50_000 + 70_000, 70_000)]
    assert [sum(chain) for chain in chains] == pytest.approx(hours)
    assert costs.gpu_hours(data, 1, given) == (pytest.approx(sum(hours)),) * 2
    assert costs.gpu_hours(data, 2, given)[0] == pytest.approx(max(sum(hours) / 2, hours[2]))
    assert costs.gpu_hours(data, 100, given)[0] == pytest.approx(
        sum(hours) / 50
    )  # sharing batches, at half their speed
