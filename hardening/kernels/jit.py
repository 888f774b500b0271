"""The one import of numba: how this library's kernels are compiled.

Never parallel (it kills forked children) and never fastmath (it turns -inf into NaN). Only functions at
module level: numba's disk cache cannot find others again.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numba
from numba.core import types
from numba.extending import intrinsic

P = ParamSpec("P")
R = TypeVar("R")


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """A compiled function that gives the GIL away, cached on disk where a place is writable.

    numba renews the cache when the kernel's own file changes, not when a file of its parts does; so
    that file names their digest, and a test keeps it true.
    """
    try:
        return _compile(function, cache=True)
    except RuntimeError as error:  # no writable place for the cache: a read-only image
        warnings.warn(f"kernels are compiled at every start: {error}", RuntimeWarning, stacklevel=2)
        return _compile(function, cache=False)


def _compile(function: Callable[P, R], *, cache: bool) -> Callable[P, R]:
    return numba.njit(nogil=True, error_model="numpy", cache=cache)(function)  # type: ignore[no-any-return]


def part(function: Callable[P, R]) -> Callable[P, R]:
    """A function that only kernels call: compiled into them, without an entry from Python."""
    options = {"nogil": True, "error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return numba.njit(**options)(function)  # type: ignore[no-any-return]


@intrinsic
def pointer(typing, array):  # type: ignore[no-untyped-def]
    """Where the first item of a contiguous array stands.

    Parts take pointers: numba counts references to an array at each call, and tests each signed index
    for "counted from the end"; together that is four fifths of the time of a byte-wise kernel.
    """

    def build(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return context.make_array(array)(context, builder, arguments[0]).data

    return types.CPointer(array.dtype)(array), build  # type: ignore[attr-defined]
