"""What every test starts from: no network, no chance."""

import os
import random

import numpy as np
import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@pytest.fixture(autouse=True)
def _same_every_time() -> None:
    """Seed the global generators; tests that draw numbers should still bring their own."""
    random.seed(0)
    np.random.seed(0)
