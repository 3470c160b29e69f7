"""What the checks measure is printed at the end of a run, whether or not it passed."""

import importlib.util
import os

import pytest

if importlib.util.find_spec("streaming"):
    import torchvision_stand_in

MEASURED = {}


@pytest.fixture
def measured():
    """Remembers the largest value of each figure over all tests: measured(name, value)."""

    def note(name, value):
        MEASURED[name] = max(value, MEASURED.get(name, value))

    return note


def pytest_terminal_summary(terminalreporter):
    shared = os.environ.get("ETTIN_SHARED")
    if not shared:
        terminalreporter.write_line("no ../shared beside the repository: checks ran on made data alone")
    for name, value in sorted(MEASURED.items()):
        terminalreporter.write_line(f"{name}: {value:.3g}")
