"""What the checks measure is printed at the end of a run, whether or not it passed."""

import importlib.machinery
import importlib.util
import os
import sys
import types

import pytest

if importlib.util.find_spec("streaming"):
    # mosaicml-streaming imports torchvision for its image data sets, and the published torchvision does not load beside
    # a torch without CUDA. Nothing here reads images.
    STAND_INS = {
        "torchvision": [], "torchvision.datasets": ["VisionDataset", "CIFAR10"], "torchvision.transforms": [],
        "torchvision.transforms.functional": ["to_tensor"],
    }
    for name, members in STAND_INS.items():
        module = types.ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        for member in members:
            setattr(module, member, type(member, (), {}))
        sys.modules[name] = module

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
