"""How residuals become tokens: classes of components, and contexts (FORMAT.md sections 2 and 7.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fmtc_tflite.errors import CodingError

MAX_CONTEXT_TABLES = 8
NUM_CONTEXTS = 15
MAX_CLASSES = 8
MAX_TOKENS = 16
MAP_BYTES = 8  # of a class, a nibble for each context


@dataclass(frozen=True)
class TokenClass:
    """Entropy-coding class: a partition of the 256 residuals into tokens, and the tokens' shares of 64 states.

    Attributes:
      offset: residual (0..255) at which token 0 starts.
      constant: residual (0..255) that a segment need not store where the whole class has it.
      log2_widths: token widths, 2..16 of them, each 0..7; they cover the 256 residuals, and only the last token may
        reach round into the first ones.
      counts: states of each token, each at least 1; they sum to 64.
    """

    offset: int
    constant: int
    log2_widths: tuple[int, ...]
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        tokens = len(self.log2_widths)
        if not 2 <= tokens <= MAX_TOKENS or len(self.counts) != tokens:
            raise CodingError(
                f"a token class has {tokens} widths and {len(self.counts)} counts, expected 2..16 of each"
            )
        widths = [1 << w for w in self.log2_widths if 0 <= w <= 7]
        if len(widths) < tokens or not sum(widths[:-1]) < 256 <= sum(widths):
            raise CodingError(f"token widths 2**{self.log2_widths} do not just cover 256 residuals")
        if min(self.counts) < 1 or sum(self.counts) != 64:
            raise CodingError(f"state counts {self.counts} are not positive with sum 64")
        if not (0 <= self.offset <= 255 and 0 <= self.constant <= 255):
            raise CodingError(f"offset {self.offset} and constant {self.constant} of a class must be bytes")

    @property
    def first_values(self) -> np.ndarray:
        """First residual of each token, uint8 [tokens]."""
        widths = np.array([1 << w for w in self.log2_widths])
        return ((self.offset + np.cumsum(widths) - widths) % 256).astype(np.uint8)

    @property
    def token_of_value(self) -> np.ndarray:
        """Token of each residual, the first that covers it, uint8 [256]."""
        tokens = np.repeat(np.arange(len(self.counts), dtype=np.uint8), [1 << w for w in self.log2_widths])
        return np.roll(tokens[:256], self.offset)

    def to_bytes(self) -> bytes:
        widths = [*self.log2_widths, 0][: len(self.counts) + len(self.counts) % 2]
        nibbles = bytes(low | high << 4 for low, high in zip(widths[::2], widths[1::2], strict=True))
        return bytes((self.offset, self.constant, len(self.counts))) + nibbles + bytes(self.counts)


@dataclass(frozen=True)
class Contexts:
    """Which table codes a residual, by its component's class and its context (FORMAT.md section 7.1).

    Attributes:
      one_sided: bool [r]; residuals of such components are magnitudes as they are, 0..255.
      tables: uint8 [classes, NUM_CONTEXTS], indices of tables.
    """

    one_sided: np.ndarray
    tables: np.ndarray

    def check(self, components: int, num_tables: int) -> None:
        """Raises CodingError unless this fits a map of `components` with `num_tables` tables."""
        if not 1 <= num_tables <= MAX_CONTEXT_TABLES:
            raise CodingError(f"{num_tables} context tables, expected 1..{MAX_CONTEXT_TABLES}")
        if self.one_sided.shape != (components,) or self.tables.shape[1:] != (NUM_CONTEXTS,):
            raise CodingError(
                f"contexts of {self.one_sided.shape} components and {self.tables.shape} tables do not fit"
            )
        if self.tables.max() >= num_tables:
            raise CodingError(f"table {self.tables.max()} of {num_tables} is named")

    def map_bytes(self) -> bytes:
        """The tables of each class and context as they are stored."""
        padded = np.pad(self.tables, ((0, 0), (0, 2 * MAP_BYTES - NUM_CONTEXTS))).astype(np.uint8)
        return (padded[:, ::2] | padded[:, 1::2] << 4).tobytes()

    @classmethod
    def from_map(cls, one_sided: np.ndarray, stored: np.ndarray) -> Contexts:
        """From what map_bytes gives, uint8 [classes * MAP_BYTES].

        Raises:
          ValueError: a context that there is not has a table.
        """
        nibbles = stored.reshape(-1, MAP_BYTES)
        tables = np.stack([nibbles & 15, nibbles >> 4], 2).reshape(len(nibbles), -1)
        if tables[:, NUM_CONTEXTS:].any():
            raise ValueError("a context that there is not has a table")
        return cls(one_sided, tables[:, :NUM_CONTEXTS])
