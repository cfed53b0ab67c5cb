"""What entropy coders with one table need for values whose counts are known."""

from __future__ import annotations

import heapq

import numpy as np


def shannon_bits(counts: np.ndarray) -> float:
    """Bits that an ideal coder with one fixed distribution needs for all counted values."""
    present = counts[counts > 0].astype(np.float64)
    return float((present * np.log2(present.sum() / present)).sum())


def huffman_lengths(counts: np.ndarray) -> np.ndarray:
    """Code lengths of a Huffman code, int64 [len(counts)], 0 for what does not occur.

    A single value that occurs gets a length of 1: a Huffman code spends at least one bit on each.
    """
    lengths = np.zeros(len(counts), np.int64)
    heap = [(int(count), symbol, [symbol]) for symbol, count in enumerate(counts) if count]
    if len(heap) == 1:
        lengths[heap[0][2]] = 1
        return lengths
    heapq.heapify(heap)
    while len(heap) > 1:
        first, second = heapq.heappop(heap), heapq.heappop(heap)
        members = first[2] + second[2]
        lengths[members] += 1
        heapq.heappush(heap, (first[0] + second[0], min(first[1], second[1]), members))
    return lengths
