"""The layouts that llama.cpp's CPU code may keep weights in, beside the plain one; one of them can be taken away.

The library comes in as ctypes loaded it. Nothing is loaded or decoded here.
"""

import ctypes
from typing import Any

__all__ = ["layout_names", "remove_layout"]

_CPU = 0  # GGML_BACKEND_DEVICE_TYPE_CPU
_GET_LAYOUTS = b"ggml_backend_dev_get_extra_bufts"
_pointer = ctypes.c_void_p


def layout_names(library: Any) -> list[bytes]:
    """The layouts that models are loaded into, the preferred one first; empty where the library does not say."""
    return [_name_of(library, layout) for layout in _entries(_layouts(library))]


def remove_layout(library: Any, name: bytes) -> bool:
    """Take the layout of this name away for the whole process; False where there is none of the name.

    `use_extra_bufts = false` would give up all layouts: with that of Q4_0, a token of 16 in flight takes 7.4 ms of
    processor time in place of 10.9, measured on one core in turns.
    """
    layouts = _layouts(library)
    entries = _entries(layouts)
    kept = [entry for entry in entries if _name_of(library, entry) != name]
    for index in range(len(entries)):
        layouts[index] = kept[index] if index < len(kept) else None
    return len(kept) < len(entries)


def _layouts(library: Any) -> Any:
    """llama.cpp's own array of pointers, made once for the process, which ends with a null one; None if not found."""
    try:
        by_type, registry_of = library.ggml_backend_dev_by_type, library.ggml_backend_dev_backend_reg
        address_of = library.ggml_backend_reg_get_proc_address
    except AttributeError:
        return None
    by_type.restype = registry_of.restype = address_of.restype = _pointer
    device = by_type(ctypes.c_int(_CPU))
    registry = device and registry_of(_pointer(device))
    address = registry and address_of(_pointer(registry), _GET_LAYOUTS)
    return ctypes.CFUNCTYPE(ctypes.POINTER(_pointer), _pointer)(address)(device) if address else None


def _entries(layouts: Any) -> list[int]:
    found: list[int] = []
    while layouts and layouts[len(found)]:
        found.append(layouts[len(found)])
    return found


def _name_of(library: Any, layout: int) -> bytes:
    name_of = library.ggml_backend_buft_name
    name_of.restype = ctypes.c_char_p
    return bytes(name_of(_pointer(layout)))
