"""Lets mosaicml-streaming be imported beside a torch without CUDA.

It imports torchvision for its image data sets, and the published torchvision does not load beside such a torch. Nothing
here reads images, so modules without functions take its place.
"""

import importlib.machinery
import sys
import types

MODULES = {
    "torchvision": [], "torchvision.datasets": ["VisionDataset", "CIFAR10"], "torchvision.transforms": [],
    "torchvision.transforms.functional": ["to_tensor"],
}

for name, members in MODULES.items():
    module = types.ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    for member in members:
        setattr(module, member, type(member, (), {}))
    sys.modules[name] = module
