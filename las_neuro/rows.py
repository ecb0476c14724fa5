"""Rows: the input of a model, B sequences of S tokens each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Tokens = NDArray[np.int64]  # ids [B, S]
Patches = NDArray[np.float32]  # a vision model's pixels [B, S, pixels]
Rows = Tokens | Patches
