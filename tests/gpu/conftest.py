import pytest

from tests.gpu.devices import emulated_gpu, real_card

DEVICES = {"emulated": emulated_gpu, "card": real_card}


@pytest.fixture(scope="session", params=["emulated", pytest.param("card", marks=pytest.mark.gpu)])
def device(request):
    """A GPU, and an engine that computes on it."""
    return DEVICES[request.param]()


@pytest.fixture(scope="session")
def emulated():
    """The emulated GPU, for what a card does not tell."""
    return emulated_gpu()
