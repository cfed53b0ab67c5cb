"""Integer tables of a token class: FORMAT.md section 6.

tANS after J. Duda, "Asymmetric numeral systems", arXiv 1311.2540, with 64 states, so that every column of the decoding
table is 64 bytes: one byte permute.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cmp_to_key

import numpy as np

NUM_STATES = 64
LOG2_STATES = 6


@dataclass(frozen=True)
class DecodeTable:
    """Columns of the 64 states, each uint8 [64].

    Attributes:
      token: the token a state stands for.
      bits: token bits that lead to the next state.
      base: next state before those bits are added.
    """

    token: np.ndarray
    bits: np.ndarray
    base: np.ndarray


def decode_table(counts: tuple[int, ...]) -> DecodeTable:
    """The table of a class whose tokens own `counts` of the 64 states."""

    def compare(a: tuple[int, int], b: tuple[int, int]) -> int:
        difference = (2 * a[1] + 1) * counts[b[0]] - (2 * b[1] + 1) * counts[a[0]]
        return difference or a[0] - b[0]

    pairs = sorted(((t, i) for t, f in enumerate(counts) for i in range(f)), key=cmp_to_key(compare))
    x = np.array([counts[t] + i for t, i in pairs])
    bits = LOG2_STATES - np.array([int(v).bit_length() - 1 for v in x])
    return DecodeTable(
        token=np.array([t for t, _ in pairs], np.uint8),
        bits=bits.astype(np.uint8),
        base=((x << bits) - NUM_STATES).astype(np.uint8),
    )


def encode_steps(counts: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What encoding token t in state p does.

    Returns:
      (bits, next_state, first_state): uint8 [tokens, 64], uint8 [tokens, 64], uint8 [tokens]. The emitted value is the
      low `bits` bits of 64 + p; `first_state` is the lowest state that stands for the token.
    """
    table = decode_table(counts)
    states = np.arange(NUM_STATES)
    bits = np.zeros((len(counts), NUM_STATES), np.uint8)
    following = np.zeros((len(counts), NUM_STATES), np.uint8)
    for t, f in enumerate(counts):
        own = states[table.token == t]
        for p in states:
            n = 0
            while NUM_STATES + p >> n >= 2 * f:
                n += 1
            bits[t, p] = n
            following[t, p] = own[(NUM_STATES + p >> n) - f]
    first = np.array([states[table.token == t][0] for t in range(len(counts))], np.uint8)
    return bits, following, first
