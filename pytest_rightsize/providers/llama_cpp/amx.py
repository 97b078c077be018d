"""Tests whether llama.cpp's AMX code works in this build, in another process that may crash.

Some compilers drop the tile configuration that it writes (GCC 12.2 does; github.com/ggml-org/llama.cpp/pull/26954), and
the first prompt then kills the whole process by a signal. In comes the folder of llama.cpp's libraries, out goes True
or False.
"""

import contextlib
import ctypes
import subprocess
import sys
from pathlib import Path

__all__ = ["works"]

_TIMEOUT_SECONDS = 20
_Q8_0, _F32 = 8, 0
# The kernels take rows of whole blocks of 32, and use tiles only for more than one column.
_WIDTH, _ROWS, _COLUMNS = 256, 64, 16


def works(libraries: Path) -> bool:
    """Multiply once with AMX in another process; False also where that cannot be tried, as a crash would cost more."""
    command = [sys.executable, "-I", __file__, str(libraries)]
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        return subprocess.run(command, check=False, capture_output=True, timeout=_TIMEOUT_SECONDS).returncode == 0
    return False


class _InitParams(ctypes.Structure):
    """`ggml_init_params` of ggml.h."""

    _fields_ = (("mem_size", ctypes.c_size_t), ("mem_buffer", ctypes.c_void_p), ("no_alloc", ctypes.c_bool))


def _multiply(libraries: Path) -> int:
    """Multiply two matrices, the left one in AMX's layout; returns ggml's status, where 0 is success."""
    base, cpu = (
        ctypes.CDLL(str(min(libraries.glob(f"*ggml-{name}.*"))), mode=ctypes.RTLD_GLOBAL) for name in ("base", "cpu")
    )
    base.ggml_init.argtypes = [_InitParams]
    for function in (
        base.ggml_init,
        base.ggml_new_tensor_2d,
        base.ggml_backend_alloc_ctx_tensors_from_buft,
        base.ggml_mul_mat,
        base.ggml_new_graph,
        # `ggml_backend_amx_buffer_type()`, as C++ names it.
        cpu._Z28ggml_backend_amx_buffer_typev,
    ):
        function.restype = ctypes.c_void_p
    base.ggml_nbytes.restype = ctypes.c_size_t

    weights_context = ctypes.c_void_p(base.ggml_init(_InitParams(2**20, None, True)))
    weights = ctypes.c_void_p(
        base.ggml_new_tensor_2d(weights_context, _Q8_0, ctypes.c_int64(_WIDTH), ctypes.c_int64(_ROWS))
    )
    layout = ctypes.c_void_p(cpu._Z28ggml_backend_amx_buffer_typev())
    base.ggml_backend_alloc_ctx_tensors_from_buft(weights_context, layout)
    size = ctypes.c_size_t(base.ggml_nbytes(weights))
    base.ggml_backend_tensor_set(weights, bytes(size.value), ctypes.c_size_t(0), size)

    context = ctypes.c_void_p(base.ggml_init(_InitParams(2**24, None, False)))
    columns = ctypes.c_void_p(base.ggml_new_tensor_2d(context, _F32, ctypes.c_int64(_WIDTH), ctypes.c_int64(_COLUMNS)))
    product = ctypes.c_void_p(base.ggml_mul_mat(context, weights, columns))
    graph = ctypes.c_void_p(base.ggml_new_graph(context))
    base.ggml_build_forward_expand(graph, product)
    return int(cpu.ggml_graph_compute_with_ctx(context, graph, 1))


if __name__ == "__main__":
    sys.exit(_multiply(Path(sys.argv[1])))
