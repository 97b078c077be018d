"""The few tokens of a large vocabulary that a draw can fall on; pure.

Logits come in, token ids go out, such that the likeliest ones of them are the likeliest of all.
"""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

__all__ = ["allowed_tokens", "likely_tokens", "two_highest"]

# How far below the highest logit to look first; mostly there are more than enough tokens.
_FIRST_DEPTH = 8.0
_MOST_DEPTH = 64.0


def likely_tokens(logits: NDArray[np.float32], count: int, always: Collection[int] = ()) -> NDArray[np.intp]:
    """Ids, in order, that hold the `count` highest logits, whatever is done to the logits of the ids in `always`.

    Those are among the ids too; a token with a logit of -inf never is unless it is one of them.
    """
    highest = logits.max()
    depth = _FIRST_DEPTH
    extra = list(always)
    while depth <= _MOST_DEPTH and np.isfinite(highest):
        is_likely = logits >= highest - np.float32(depth)
        if np.count_nonzero(is_likely) >= count + len(extra):
            break
        depth *= 2
    else:
        is_likely = logits > -np.inf
    is_likely[extra] = True
    return np.flatnonzero(is_likely)


def allowed_tokens(
    logits: NDArray[np.float32], allowed: NDArray[np.bool_], count: int, always: Collection[int] = ()
) -> NDArray[np.intp]:
    """As `likely_tokens`, of the allowed ones."""
    if np.count_nonzero(allowed) <= max(count, len(allowed) // 64):
        return np.flatnonzero(allowed)
    masked = np.where(allowed, logits, np.float32(-np.inf))
    return likely_tokens(masked, count, [token for token in always if allowed[token]])


def two_highest(logits: NDArray[np.float32]) -> tuple[int, float]:
    """Where the highest logit is, and by how much it exceeds the next; infinitely where there is no other."""
    first = int(logits.argmax())
    highest = logits[first]
    logits[first] = -np.inf
    margin = float(highest - logits.max())
    logits[first] = highest
    return first, margin
