"""Lets PyLate be imported without `datasets`, which it imports for training data alone.

The stand-in is gone afterwards: sentence-transformers asks whether the library is there, and would use it.
"""

import sys
import types

import sentence_transformers  # noqa: F401

sys.modules["datasets"] = types.ModuleType("datasets")
from pylate import models, rank, scores  # noqa: E402, F401

del sys.modules["datasets"]
