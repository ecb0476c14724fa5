"""Keep the memory of freed arrays, since the next window needs arrays of the same sizes.

By default glibc returns large blocks to the system at once.  Every window then has a page fault for
each 4 KB that it touches, which can double the engine's time.
"""

import ctypes
from functools import cache

# <malloc.h>; blocks up to 32 MB (the most glibc allows) come from the heap, which is not trimmed.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
BLOCK, PAD, NEVER = 1 << 25, 1 << 26, (1 << 31) - 1


@cache
def keep_freed_arrays() -> bool:
    """Set malloc's parameters, once per process; False where the C library is not glibc."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    settings = ((M_MMAP_THRESHOLD, BLOCK), (M_TRIM_THRESHOLD, NEVER), (M_TOP_PAD, PAD))
    return all(mallopt(key, value) == 1 for key, value in settings)
