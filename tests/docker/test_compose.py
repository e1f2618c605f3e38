"""docker/compose.yaml: its services are commands of lrcn on targets of the Dockerfile."""

import re

import pytest
import yaml

from tests.commands import LRCN
from tests.docker.engines import call
from tests.shared import ROOT

SERVICES = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_a_command_on_an_image(name):
    service = SERVICES[name]
    target = service["build"]["target"]
    assert f"AS {target}\n" in (ROOT / service["build"]["dockerfile"]).read_text()
    assert service["image"] == f"lrcn:{target}" and (target == "cuda") == ("--gpu" in service["command"])
    mounts = dict(re.fullmatch(r"(\./[\w/]+):(/\w+)(?::ro)?", each).groups()[::-1] for each in service["volumes"])
    paths = {word for word in service["command"] if word.startswith("/")}
    assert {f"/{word.split('/')[1]}" for word in paths} == set(mounts)
    assert [each for each in service["volumes"] if not each.endswith(":ro")] == [f"{mounts['/runs']}:/runs"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_gives_options_that_its_command_has(name):
    """It goes wrong at its data, which are not here, and not before."""
    words = ["/no-such-data" if word == "/data" else word for word in SERVICES[name]["command"]]
    words = re.sub(r"--weights \S+", "--from-scratch", " ".join(words)).split()
    done = call([LRCN, *words])
    assert done.returncode == 2 and "/no-such-data" in done.stderr, done.stderr
