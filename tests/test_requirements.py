"""What pip installs is pinned by hash, and the pins are those that pyproject.toml asks for."""

import itertools
import re

import pytest
from packaging.requirements import Requirement

from tests.shared import ROOT

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FILES = {  # which pins are installed together
    "run": ["run"],
    "test": ["run", "test"],
    "mutants": ["run", "test", "mutants"],
    "docs": ["run", "test", "docs"],
    "build": ["build"],
    "lock": ["lock"],
}
MACHINES = [  # as in markers
    {
        "python_version": f"3.{minor}",
        "python_full_version": f"3.{minor}.{patch}",
        "platform_machine": machine,
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "extra": "",
    }
    for minor, patch, machine in itertools.product(range(10, 14), (0, 14), ("x86_64", "aarch64"))
]


def _wanted(name: str) -> list[str]:
    project = PROJECT["project"]
    return {
        "run": project["dependencies"],
        "test": project["dependencies"] + project["optional-dependencies"]["test"],
        "mutants": PROJECT["dependency-groups"]["mutants"],
        "docs": project["optional-dependencies"]["docs"],
        "build": PROJECT["build-system"]["requires"],
        "lock": PROJECT["dependency-groups"]["lock"],
    }[name]


def _pins(name: str) -> list[Requirement]:
    """Of a file, in which there must be nothing but pins: no index, no address, no option."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    pins = []
    for line in re.sub(r"^#.*\n", "", text, flags=re.M).replace(" \\\n", " ").splitlines():
        pin = re.fullmatch(r"([a-z0-9-]+==[^\s;]+(?: ; .+?)?)((?:\s+--hash=sha256:[0-9a-f]{64})+)\s*", line)
        assert pin, f"{name}.txt: {line[:100]}"
        pins.append(Requirement(pin[1]))
    return pins


def _key(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("name", FILES)
def test_each_requirement_has_one_pin_within_its_bounds_on_every_python_and_processor(name):
    pins = [pin for file in FILES[name] for pin in _pins(file)]
    for machine in MACHINES:
        versions = {}
        for pin in pins:
            if pin.marker is None or pin.marker.evaluate(machine):
                assert _key(pin.name) not in versions, f"{pin.name} is pinned twice for {machine}"
                [versions[_key(pin.name)]] = [specifier.version for specifier in pin.specifier]
        for wanted in map(Requirement, _wanted(name)):
            if wanted.marker is None or wanted.marker.evaluate(machine):
                assert _key(wanted.name) in versions, f"{wanted.name} is not pinned for {machine}: make lock"
                assert wanted.specifier.contains(versions[_key(wanted.name)]), f"{wanted}: make lock"


def test_a_pin_is_the_same_in_every_file():
    """What makes the wheel is what the tests build it with."""
    pins = {(_key(pin.name), str(pin.marker)): str(pin.specifier) for name in ("run", "test") for pin in _pins(name)}
    for pin in _pins("build"):
        assert pins.get((_key(pin.name), str(pin.marker)), str(pin.specifier)) == str(pin.specifier)


def test_the_images_install_what_is_pinned_and_nothing_else():
    """Each call of pip, over its continued lines, takes hashes, or lrcn itself and no package to build it with."""
    text = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
    calls = re.findall(r"pip install ((?:[^&\n\\]|\\\n)+)", text)
    assert len(calls) == text.count("pip install") == 4
    for call in calls:
        assert "--require-hashes --only-binary :all:" in call or "--no-deps --no-build-isolation" in call
