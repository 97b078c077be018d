"""Images for a local model, through llama.cpp's mtmd: a prompt with images becomes tokens and pieces of images.

A rendered prompt and the bytes of its images come in; out go tokens with places for the images, each of which knows how
it is decoded into a sequence. Used by the thread of its model only.
"""

import ctypes
import hashlib
import importlib
import secrets
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_rightsize.errors import RungError
from pytest_rightsize.images import MOST_PIXELS, image_format, image_size, image_url
from pytest_rightsize.part_data import data_of_url
from pytest_rightsize.providers.llama_cpp.completions import ImagePiece
from pytest_rightsize.providers.llama_cpp.native import last_errors, native_log
from pytest_rightsize.records import Json, Request

__all__ = ["OLDEST", "Seen", "Vision", "VisionError", "refused"]

OLDEST = "0.3.36"
"""The first version of llama-cpp-python whose binding of mtmd is known to have all that is used here."""
# What the decoder in mtmd reads; it gives WebP to another, which may not be built in.
_READ = ("gif", "jpeg", "png")
# All images of a request are decoded before the first is read: 768 MB, at 3 bytes a pixel.
_MOST_PIXELS_OF_REQUEST = 4 * MOST_PIXELS


class VisionError(Exception):
    """The projector cannot be loaded, or an image cannot be read; the text is a clause that says why."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A prompt with images: its tokens, with a number below 0 at each place of an image, and the images."""

    tokens: list[int]
    images: tuple[ImagePiece, ...] = ()

    @property
    def size(self) -> int:
        """How many tokens the model reads."""
        return len(self.tokens) + sum(image.tokens - image.positions for image in self.images)


class Vision:
    """The vision projector of one loaded model."""

    def __init__(self, native: Any, path: Path, *, threads: int | None, uses_gpu: bool) -> None:
        """Load the file for `native` (a `llama_cpp.Llama`); raises VisionError if it is not for this model."""
        self._llama_cpp: Any = importlib.import_module("llama_cpp")
        self._mtmd: Any = importlib.import_module("llama_cpp.mtmd_cpp")
        log = native_log()
        for set_log in (self._mtmd.mtmd_log_set, self._mtmd.mtmd_helper_log_set):
            set_log(log.callback, None)
        # No prompt can hold it by chance, nor by intention.
        self.marker = f"<__image_{secrets.token_hex(16)}__>"
        self._marker_bytes = self.marker.encode()
        params = self._mtmd.mtmd_context_params_default()
        params.use_gpu = uses_gpu
        params.print_timings = False
        params.warmup = False
        params.media_marker = self._marker_bytes
        params.n_threads = threads or native.n_threads
        self._native = native
        self._context = self._mtmd.mtmd_init_from_file(str(path).encode(), native.model, params)
        if not self._context:
            raise VisionError(f"llama.cpp could not load {path} for this model{last_errors()}")
        if not self._mtmd.mtmd_support_vision(self._context):
            self.close()
            raise VisionError(f"{path} is a projector that sees no images")
        self._numbers: dict[tuple[bytes, int], int] = {}

    def with_markers(self, request: Request) -> tuple[list[Mapping[str, Json]], list[bytes]]:
        """The messages with a mark in the place of each image, and the images; raises VisionError."""
        messages: list[Mapping[str, Json]] = []
        images: list[_Image] = []
        for message in request.messages:
            content = message.get("content")
            marked = {**message, "content": self._marked(content, images)} if isinstance(content, list) else message
            messages.append(marked)
        _check_together(images)
        return messages, [image.data for image in images]

    def _marked(self, parts: Sequence[Json], images: "list[_Image]") -> list[Json]:
        """The parts with marks; a mark joins the texts beside it without an end of line, as in llama-server."""
        marked: list[Json] = []
        for part in parts:
            is_image = isinstance(part, Mapping) and part.get("type") == "image_url"
            if is_image:
                images.append(_image_of(part))
            text = self.marker if is_image else part.get("text") if isinstance(part, Mapping) else None
            last = marked[-1].get("text") if marked and isinstance(marked[-1], Mapping) else None
            is_joined = isinstance(text, str) and isinstance(last, str) and (is_image or last.endswith(self.marker))
            if is_joined:
                marked[-1] = {"type": "text", "text": f"{last}{text}"}
            else:
                marked.append({"type": "text", "text": text} if is_image else part)
        return marked

    def read(self, text: str, images: Sequence[bytes]) -> Seen:
        """The tokens of a prompt, and the images at the marks in it; raises VisionError."""
        if text.count(self.marker) != len(images):
            raise VisionError(
                "the chat template in its model file leaves out an image, or writes it twice: take a file of the model "
                "whose template knows images"
            )
        bitmaps = self._bitmaps(images)
        chunks = _Chunks(self._mtmd)
        encoded = text.encode()
        given = self._mtmd.mtmd_input_text()
        given.text, given.text_len = encoded, len(encoded)
        given.add_special, given.parse_special = False, True
        try:
            array = (self._mtmd.mtmd_bitmap_p_ctypes * len(bitmaps))(*bitmaps)
            code = self._mtmd.mtmd_tokenize(self._context, chunks.pointer, ctypes.byref(given), array, len(bitmaps))
        finally:
            for bitmap in bitmaps:
                self._mtmd.mtmd_bitmap_free(bitmap)
        if code != 0:
            raise VisionError(f"its vision projector cannot read the image{last_errors()}")
        return self._seen(chunks)

    def close(self) -> None:
        """Free the projector, before the model."""
        context, self._context = self._context, None
        if context:
            self._mtmd.mtmd_free(context)

    def _bitmaps(self, images: Sequence[bytes]) -> list[Any]:
        bitmaps: list[Any] = []
        for image in images:
            buffer = (ctypes.c_uint8 * len(image)).from_buffer_copy(image)
            bitmap = self._mtmd.mtmd_helper_bitmap_init_from_buf(self._context, buffer, len(image), False)
            if not bitmap:
                for other in bitmaps:
                    self._mtmd.mtmd_bitmap_free(other)
                raise VisionError("an image of the message cannot be decoded, it is broken: save it as PNG or JPEG")
            self._mtmd.mtmd_bitmap_set_id(bitmap, hashlib.sha256(image).hexdigest().encode())
            bitmaps.append(bitmap)
        return bitmaps

    def _seen(self, chunks: "_Chunks") -> Seen:
        tokens: list[int] = []
        images: list[ImagePiece] = []
        for index in range(self._mtmd.mtmd_input_chunks_size(chunks.pointer)):
            chunk = self._mtmd.mtmd_input_chunks_get(chunks.pointer, index)
            if self._mtmd.mtmd_input_chunk_get_type(chunk) == self._mtmd.MTMD_INPUT_CHUNK_TYPE_TEXT:
                count = ctypes.c_size_t()
                pointer = self._mtmd.mtmd_input_chunk_get_tokens_text(chunk, ctypes.byref(count))
                read = pointer[: count.value]
                if min(read, default=0) < 0:
                    raise VisionError(
                        "the model has no tokens for the marks that mmproj sets around an image: name the projector "
                        "that was published with this model"
                    )
                tokens += read
                continue
            piece = self._piece(chunks, chunk, index, start=len(tokens))
            images.append(piece)
            tokens += [self._number(chunk, index)] * piece.positions
        if not tokens or tokens[-1] < 0:
            raise VisionError(
                "the chat template in its model file writes nothing after the image, so that no answer can follow: put "
                "a text after the image"
            )
        return Seen(tokens=tokens, images=tuple(images))

    def _piece(self, chunks: "_Chunks", chunk: Any, index: int, *, start: int) -> ImagePiece:
        size = int(self._mtmd.mtmd_input_chunk_get_n_tokens(chunk))
        most = int(self._llama_cpp.llama_n_ubatch(self._native.ctx))
        if self._mtmd.mtmd_decode_use_non_causal(self._context, chunk) and size > most:
            raise VisionError(
                f"a piece of the image is {size} tokens, which this model reads at once, and a decoding step takes "
                f"{most}: set n_batch = {size} or more in the ladder file"
            )
        return ImagePiece(
            start=start,
            positions=int(self._mtmd.mtmd_input_chunk_get_n_pos(chunk)),
            tokens=size,
            decode=lambda position, sequence: self._decode(chunks, index, position, sequence),
        )

    def _number(self, chunk: Any, index: int) -> int:
        """A number below 0 that the same piece of the same image has in each prompt, and no other piece."""
        key = (self._mtmd.mtmd_input_chunk_get_id(chunk) or b"", index)
        return -1 - self._numbers.setdefault(key, len(self._numbers))

    def _decode(self, chunks: "_Chunks", index: int, position: int, sequence: int) -> int:
        """Encode the piece, and decode it from the position of the sequence on; returns what llama_decode did."""
        end = self._llama_cpp.llama_pos(0)
        chunk = self._mtmd.mtmd_input_chunks_get(chunks.pointer, index)
        code: int = self._mtmd.mtmd_helper_eval_chunk_single(
            self._context,
            self._native.ctx,
            chunk,
            position,
            sequence,
            int(self._llama_cpp.llama_n_batch(self._native.ctx)),
            False,
            ctypes.byref(end),
        )
        return code


class _Chunks:
    """The pieces of a tokenized prompt, freed when nobody holds them any more."""

    def __init__(self, mtmd: Any) -> None:
        self.pointer = mtmd.mtmd_input_chunks_init()
        # Not when the process ends: the thread of the model may be reading them.
        weakref.finalize(self, mtmd.mtmd_input_chunks_free, self.pointer).atexit = False


@dataclass(frozen=True, kw_only=True)
class _Image:
    """The file of an image, and how many pixels its header names."""

    data: bytes
    pixels: int


def _image_of(part: Mapping[str, Json]) -> _Image:
    """The image of a part, which llama.cpp is able to read; raises VisionError."""
    given = data_of_url(image_url(part) or "")
    if given is None:
        raise VisionError("an image is given by a URL, and a local model fetches nothing: give image_part(FILE)")
    kind, size = image_format(given.data), image_size(given.data)
    if kind not in _READ:
        raise VisionError(
            f"an image of the message is {kind or given.media_type or 'of an unknown format'}, which llama.cpp does "
            f"not read: give {', '.join(_READ)}"
        )
    if size is None or not size.width or not size.height:
        raise VisionError("an image of the message is broken, its header has no width and height: save it anew")
    pixels = size.width * size.height
    if pixels > MOST_PIXELS:
        raise VisionError(
            f"an image of the message has {size.width:,} x {size.height:,} pixels, and {MOST_PIXELS:,} pixels is the "
            f"most that is read: make it smaller"
        )
    return _Image(data=given.data, pixels=pixels)


def _check_together(images: Sequence[_Image]) -> None:
    """Refuse a request whose images would take too much memory together; raises VisionError."""
    pixels = sum(image.pixels for image in images)
    if pixels > _MOST_PIXELS_OF_REQUEST:
        raise VisionError(
            f"the {len(images):,} images of this request have {pixels:,} pixels together, and "
            f"{_MOST_PIXELS_OF_REQUEST:,} pixels is the most that is read at once: send fewer images, or smaller ones"
        )


def refused(rung: str, error: VisionError) -> RungError:
    """The fault of a request whose images cannot be read."""
    return RungError(f"rung {rung!r}: {error}", reason="request", alone=True)
