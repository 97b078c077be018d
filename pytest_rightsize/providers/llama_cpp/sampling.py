"""Draws the next token of one sequence from its logits, exactly as `llama_cpp.Llama` draws it.

A schema takes the tokens away that it does not allow, before the draw.
"""

import ctypes
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_rightsize.providers.llama_cpp.completions import Sampling

__all__ = ["Sampler"]


class Sampler:
    """Draws the tokens of one sequence. Its random numbers are its own, so that no other sequence changes them."""

    def __init__(self, native: Any, sampling: Sampling) -> None:
        self._llama_cpp: Any = importlib.import_module("llama_cpp")
        self._native = native
        self._size = native.n_vocab()
        self._chain: Any = None
        self._grammar: Any = None
        self.margin: float | None = None
        self._matcher = None if sampling.constraint is None else sampling.constraint.matcher()
        self._awaited = sampling.constrained_after if self._matcher is not None else b""
        self._written = bytearray()
        if sampling.grammar is not None:
            self._check(sampling.grammar)
        if not sampling.is_argmax:
            self._chain = self._drawing_chain(sampling)
        elif sampling.grammar is not None:
            internals = importlib.import_module("llama_cpp._internals")
            self._chain = internals.LlamaSampler()
            self._chain.add_grammar(native._model, sampling.grammar)
            self._chain.add_greedy()
            self._grammar = self._llama_cpp.llama_sampler_chain_get(self._chain.sampler, 0)

    def draw(self, row: int) -> int:
        """Draw the next token from the logits in this row of the last decode."""
        if self._matcher is not None and not self._awaited:
            return self._draw_allowed(self._matcher, row)
        return self._draw_any(row)

    def written(self, piece: bytes) -> None:
        """Take note of what the drawn token wrote: a schema may hold only after a mark."""
        if self._awaited:
            self._written += piece
            if self._awaited in self._written:
                self._awaited = b""

    def _draw_allowed(self, matcher: Any, row: int) -> int:
        """Draw one of the tokens that the schema allows."""
        logits = self._logits(row)
        if self._chain is None:
            token = int(logits.argmax())
            # Mostly it is allowed, and checking one token is cheaper than finding out about all.
            if matcher.allows(token):
                self._note_margin(logits, token)
            else:
                logits[~matcher.allowed(self._size)] = -np.inf
                token = int(logits.argmax())
        else:
            logits[~matcher.allowed(self._size)] = -np.inf
            token = int(self._chain.sample(self._native._ctx, row))
        matcher.accept(token)
        return token

    def _draw_any(self, row: int) -> int:
        if self._chain is None:
            return self._likeliest(row)
        if self._grammar is not None:
            likeliest = self._likeliest(row)
            # The grammar is slow on a whole vocabulary, and it mostly allows the likeliest token.
            if self._allows(likeliest):
                if not self._llama_cpp.llama_vocab_is_eog(self._native._model.vocab, likeliest):
                    self._llama_cpp.llama_sampler_accept(self._grammar, likeliest)
                return likeliest
        return int(self._chain.sample(self._native._ctx, row))

    def close(self) -> None:
        """Free the chain."""
        if self._chain is not None:
            self._chain.close()

    def _likeliest(self, row: int) -> int:
        logits = self._logits(row)
        token = int(logits.argmax())
        self._note_margin(logits, token)
        return token

    def _logits(self, row: int) -> NDArray[np.float32]:
        """The logits of a row, in llama.cpp's own memory."""
        pointer = self._llama_cpp.llama_get_logits_ith(self._native.ctx, row)
        address = ctypes.cast(pointer, ctypes.c_void_p).value
        if address is None:
            raise RuntimeError("llama.cpp has no logits for the last token")
        return np.frombuffer((ctypes.c_float * self._size).from_address(address), dtype=np.float32)

    def _note_margin(self, logits: NDArray[np.float32], token: int) -> None:
        """Remember by how little the likeliest token won: other neighbours in the batch move logits a little."""
        first = logits[token]
        logits[token] = -np.inf
        margin = float(first - logits.max())
        logits[token] = first
        self.margin = margin if self.margin is None else min(self.margin, margin)

    def _allows(self, token: int) -> bool:
        llama_cpp = self._llama_cpp
        token_data = (llama_cpp.llama_token_data * 1)(llama_cpp.llama_token_data(id=token, logit=1.0, p=0.0))
        candidates = llama_cpp.llama_token_data_array(data=token_data, size=1, selected=-1, sorted=False)
        llama_cpp.llama_sampler_apply(self._grammar, ctypes.byref(candidates))
        return bool(token_data[0].logit == 1.0)

    def _check(self, grammar: Any) -> None:
        """Refuse a grammar that llama.cpp cannot parse: llama-cpp-python would pass on a null pointer, and crash."""
        sampler = self._llama_cpp.llama_sampler_init_grammar(
            self._native._model.vocab, grammar._grammar.encode(), grammar._root.encode()
        )
        if not sampler:
            raise ValueError("llama.cpp cannot parse the grammar")
        self._llama_cpp.llama_sampler_free(sampler)

    def _drawing_chain(self, sampling: Sampling) -> Any:
        """The sampler chain that `llama_cpp.Llama` would make, so that the same seed draws the same tokens."""
        self._native.set_seed(sampling.seed)
        biased = None
        if sampling.logit_bias:
            tokens = np.array(list(sampling.logit_bias), dtype=np.intp)
            added = np.array(list(sampling.logit_bias.values()), dtype=np.float32)
            biased = [_biased(tokens, added)]
        return self._native._init_sampler(
            top_k=sampling.top_k,
            top_p=sampling.top_p,
            min_p=sampling.min_p,
            typical_p=sampling.typical_p,
            temp=sampling.temperature,
            repeat_penalty=sampling.repeat_penalty,
            frequency_penalty=sampling.frequency_penalty,
            presence_penalty=sampling.presence_penalty,
            mirostat_mode=sampling.mirostat_mode,
            mirostat_tau=sampling.mirostat_tau,
            mirostat_eta=sampling.mirostat_eta,
            logits_processor=biased,
            grammar=sampling.grammar,
        )


def _biased(tokens: NDArray[np.intp], added: NDArray[np.float32]) -> Callable[[Any, Any], Any]:
    def add(_: Any, logits: Any) -> Any:
        changed = logits.copy()
        changed[tokens] += added
        return changed

    return add
