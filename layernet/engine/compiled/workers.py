"""A team: the workers that share every batch, and the parameters and buffers that they share."""

from __future__ import annotations

import numpy as np


class Team:
    """Workers that share every batch, and what they share besides.

    Parameters
    ----------
    n_workers : int
    batch_size : int
        The largest number of rows that a batch will have.
    gradients : ndarray of shape (n_parameters,)
        The network's own gradients, which are those of the whole batch in the end.
    """

    def __init__(self, n_workers: int, batch_size: int, gradients: np.ndarray):
        self.n_workers = n_workers
        self.batch_size = batch_size
        self.part = -(-batch_size // n_workers)
        self.gradients = [gradients, *(np.zeros(len(gradients), gradients.dtype) for _ in range(n_workers - 1))]
        self.gate = np.zeros((1, 1), np.int64)
        # Of some parameters, who computes the gradients for the whole batch: (worker, where they lie).
        self.owners: list[tuple[int, slice]] = []
        self._shared: dict[object, np.ndarray] = {}

    def share(self, name: object, shape: tuple[int, ...], dtype) -> np.ndarray:
        """A buffer that is the same for all that ask for it by one name."""
        if name not in self._shared:
            self._shared[name] = aligned(shape, dtype)
        return self._shared[name]

    def owned_by(self, worker: int) -> list[slice]:
        """The parameters that a worker moves: those whose gradients it alone computes, and a part of others."""
        own = [place for owner, place in self.owners if owner == worker]
        return merged([*own, *(self._part_of(place, worker) for place in self.left_over())])

    def left_over(self) -> list[slice]:
        """The parameters whose gradients each worker computes for its own rows, and which have to be added."""
        owned = sorted((place for _, place in self.owners), key=lambda place: place.start)
        ends = [0, *(place.stop for place in owned)]
        starts = [*(place.start for place in owned), len(self.gradients[0])]
        return [slice(end, start) for end, start in zip(ends, starts, strict=True) if end < start]

    def _part_of(self, place, worker):
        """A worker's part of some parameters; parts begin where a cache line may."""
        size = place.stop - place.start
        ends = [min(size, 16 * -(-size * w // self.n_workers // 16)) for w in range(self.n_workers + 1)]
        ends[-1] = size
        return slice(place.start + ends[worker], place.start + ends[worker + 1])


def aligned(shape: tuple[int, ...], dtype) -> np.ndarray:
    """An array of zeros that begins where a cache line does."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.zeros(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(dtype).reshape(shape)


def merged(places: list[slice]) -> list[slice]:
    """The same entries in as few slices as possible."""
    whole: list[slice] = []
    for place in sorted(places, key=lambda place: place.start):
        if place.start == place.stop:
            continue
        if whole and whole[-1].stop == place.start:
            place = slice(whole.pop().start, place.stop)
        whole.append(place)
    return whole


def intersections(first: list[slice], second: list[slice]) -> list[slice]:
    """The entries that are in both."""
    pairs = (slice(max(a.start, b.start), min(a.stop, b.stop)) for a in first for b in second)
    return [place for place in pairs if place.start < place.stop]
