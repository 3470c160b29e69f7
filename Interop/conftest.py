"""Fixtures of several files. What the checks measure is printed at the end of a run, whether or not it passed."""

import importlib.util
import itertools
import math
import os

import pytest
from hub_client import Client
from hub_server import HubServer

if importlib.util.find_spec("streaming"):
    import torchvision_stand_in

MEASURED = {}


@pytest.fixture
def measured():
    """Remembers the largest value of each figure over all tests: measured(name, value)."""

    def note(name, value):
        MEASURED[name] = max(value, MEASURED.get(name, value))

    return note


@pytest.fixture(scope="session")
def small_tokenizer(tmp_path_factory):
    """The folder of the tokenizer that the small descendants share."""
    import descendants

    return descendants.train_tokenizer(tmp_path_factory.mktemp("descendants") / "tokenizer")


@pytest.fixture
def server():
    """A Hub of ours."""
    with HubServer() as server:
        yield server


@pytest.fixture
def client(tmp_path, server):
    """One user of it, with a cache."""
    return Client(tmp_path / "ours", server.endpoint)


@pytest.fixture
def other(tmp_path, server):
    """Another user, with another cache."""
    return Client(tmp_path / "theirs", server.endpoint)


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes long; make interop-slow runs it, make interop does not")
    config.addinivalue_line("markers", "sampled(count): all but so many of its sets of parameters are slow")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Marks what a sample leaves out, before marker expressions choose."""
    tests = {}
    for item in items:
        marker = item.get_closest_marker("sampled")
        if marker:
            tests.setdefault(item.nodeid.split("[")[0], (marker.args[0], []))[1].append(item)
    for count, cases in tests.values():
        # A walk in strides of the golden section meets every value of each parameter early.
        size = len(cases)
        stride = next(step for step in itertools.count(round(size * 0.618)) if math.gcd(step, size) == 1)
        sample = {index * stride % size for index in range(count)}
        for index, case in enumerate(cases):
            if index not in sample:
                case.add_marker(pytest.mark.slow)


def pytest_terminal_summary(terminalreporter):
    shared = os.environ.get("ETTIN_SHARED")
    if not shared:
        terminalreporter.write_line("no ../shared beside the repository: checks ran on made data alone")
    for name, value in sorted(MEASURED.items()):
        terminalreporter.write_line(f"{name}: {value:.3g}")
