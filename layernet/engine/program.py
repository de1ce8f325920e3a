"""A program: what a step of training does as a list of instructions, on buffers that are made once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from layernet.engine.kernel import Kernel
from layernet.engine.kernels.batches import add_up, shares, sum_weights
from layernet.engine.kernels.structure import meet
from layernet.engine.settings import NO_SETTINGS, NotASettingError, has_value, plain_value
from layernet.engine.words import ALL_ROWS, OWN_ROWS


class Instruction(NamedTuple):
    """A kernel with its operands, and how many rows of each it sees."""

    kernel: Kernel
    operands: list[np.ndarray]
    rows: list[int]


class BatchInPython(NamedTuple):
    """What layers and losses that are called in Python are told of a batch.

    Attributes
    ----------
    targets : ndarray
        As the loss prepared them.
    weights, numbers : ndarray or None
        Of the samples, as they were given.
    mean_weight : float or None
        Of all training data; None without weights.
    inputs : csr_array or None
        Of the network, if they are sparse rows; arrays lie in a buffer.
    """

    targets: np.ndarray
    weights: np.ndarray | None
    numbers: np.ndarray | None
    mean_weight: float | None
    inputs: Any = None


class Formula(NamedTuple):
    """Something that only Python can do: a function of the number of rows of the batch."""

    function: Callable[[int], None]


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


class Program:
    """Instructions in the order in which a worker carries them out in a step.

    Parameters
    ----------
    dtype : float32 or float64
    team : Team
    worker : int
        Which of the team.
    mean_weight : float, default=0.0
        The mean of the samples' weights in all training data; 0 if they have none.
    is_training : bool, default=True
        Whether layers do what they do in training; in inference there is no way back.

    Attributes
    ----------
    steps : list of Instruction or Formula
    at_the_end : list of Instruction or Formula
        What happens after the update.
    weights, row_numbers : ndarray of shape (rows, 1) or None
        The weights of the batch's samples, and a number for each, for layers with noise. Numbers are int64.
    """

    def __init__(
        self,
        dtype: np.dtype,
        team: Team,
        worker: int,
        mean_weight: float = 0.0,
        is_training: bool = True,
    ):
        self.dtype = np.dtype(dtype)
        self.is_training = is_training
        self.team = team
        self.worker = worker
        self.steps: list[Instruction | Formula] = []
        self.at_the_end: list[Instruction | Formula] = []
        self._own: dict[
            int, tuple[np.ndarray, np.ndarray]
        ] = {}  # buffers of samples, each with that of all workers
        self._all: set[int] = set()
        self._when_all_are_back: list[Callable[[], None]] = []
        self._count = 0
        self._shares: np.ndarray | None = None
        self._weight_sums: np.ndarray | None = None
        self.mean_weight = mean_weight
        self.weights = self.for_samples(1) if mean_weight else None
        self.row_numbers = self.for_samples(1, np.int64)
        self.beginnings: list[Callable[[], None]] = []
        self.endings: list[Callable[[int], None]] = []
        self.watched: list[tuple[Callable[[], np.ndarray], np.ndarray]] = []
        self.settings: list[tuple[Any, str, Callable[[Any], Any], Any]] = []
        self.batch: BatchInPython | None = None  # set for each step that Python has a part in

    @property
    def everything(self) -> list[Instruction | Formula]:
        """All that happens in a step, in order."""
        return [*self.steps, *self.at_the_end]

    @property
    def instructions(self) -> list[Instruction]:
        """What of it the machine does."""
        return [step for step in self.everything if isinstance(step, Instruction)]

    @property
    def is_first(self) -> bool:
        """Whether this is the worker that does what has to be done once."""
        return self.worker == 0

    # --- buffers ---

    def for_samples(self, width: int, dtype=None) -> np.ndarray:
        """A buffer with a row for each sample of the batch, of which kernels see those of the worker."""
        team = self.team
        dtype = self.dtype if dtype is None else dtype
        everything = team.share(self._next_name(), (team.n_workers * team.part, width), dtype)
        own = everything[self.worker * team.part : (self.worker + 1) * team.part]
        self._own[id(own)] = own, everything
        self._all.add(id(everything))
        return own

    def of_all(self, own: np.ndarray) -> np.ndarray:
        """The buffer that all workers' rows lie in, given the worker's own."""
        return self._own[id(own)][1]

    def fixed(self, *shape: int) -> np.ndarray:
        """A buffer that has nothing to do with samples, of zeros."""
        return aligned(shape, self.dtype)

    def shared(self, width: int, dtype=None) -> np.ndarray:
        """A buffer with a row for each worker, in which each finds what the others wrote after they `meet`."""
        shape = (self.team.n_workers, width)
        return self.team.share(self._next_name(), shape, self.dtype if dtype is None else dtype)

    def constants(self, *values: float) -> np.ndarray:
        """Numbers that a kernel needs, as a matrix of one row."""
        return np.array([values or (0.0,)], self.dtype)

    def vector(self, values: np.ndarray) -> np.ndarray:
        """A parameter or a piece of state as a matrix of one row that shares its memory."""
        return values.reshape(1, -1)

    def gradient(self, of_network: np.ndarray) -> np.ndarray:
        """The worker's own place for a gradient, given the network's; a vector as a matrix of one row.

        What the workers write there, each for its own rows, is added up in the end.
        """
        shape = of_network.shape if of_network.ndim == 2 else (1, of_network.size)
        if not self.is_training:
            return self.fixed(*shape)  # nobody writes there
        place = self._place_of(of_network)
        return self.team.gradients[self.worker][place].reshape(shape)

    def gradient_for_all(self, of_network: np.ndarray) -> tuple[np.ndarray, int]:
        """Some rows of a gradient, which this worker alone computes, for all rows of the batch.

        Returns
        -------
        gradient : ndarray of shape (n_rows, n_columns)
        first : int
            Which row of the whole gradient is the first of them.
        """
        length, width = of_network.shape
        first, last = (length * w // self.team.n_workers for w in (self.worker, self.worker + 1))
        start = self._place_of(of_network).start
        self.team.owners.append((self.worker, slice(start + first * width, start + last * width)))
        return of_network[first:last], first

    def _place_of(self, of_network):
        everything = self.team.gradients[0]
        start = (of_network.ctypes.data - everything.ctypes.data) // everything.itemsize
        return slice(start, start + of_network.size)

    def weight_sums(self) -> np.ndarray:
        """The weight of the samples of each worker, once all workers have added theirs up."""
        if self._weight_sums is None:
            self._weight_sums = self.shared(1)
            self.do(sum_weights, self.weights, self._weight_sums)
            self.meet()
        return self._weight_sums

    def weight_of_batch(self) -> np.ndarray:
        """The weight of the batch, for this worker alone; 0 if samples have no weights."""
        total = self.fixed(1, 1)
        if self.weights is not None:
            self.do(add_up, self.weight_sums(), total)
        return total

    def shares(self) -> np.ndarray:
        """The share that each sample has in the weight of the batch."""
        if self._shares is None:
            self._shares = self.for_samples(1)
            has_weights = self.weights is not None
            weights, sums = (
                (self.weights, self.weight_sums()) if has_weights else (self._shares, self.shared(1))
            )
            self.do(shares, weights, sums, self._shares)
        return self._shares

    def _next_name(self):
        self._count += 1  # all workers ask in the same order
        return self._count

    # --- instructions ---

    def do(self, kernel: Kernel, *operands: np.ndarray, at_the_end: bool = False) -> None:
        """Add a kernel with its operands to the steps."""
        rows = [
            OWN_ROWS if id(a) in self._own else ALL_ROWS if id(a) in self._all else len(a) for a in operands
        ]
        for array in operands:
            if (
                array.ndim != 2
                or not array.flags.c_contiguous
                or array.dtype not in (self.dtype, np.int64, np.int32, np.float64)
            ):
                raise ValueError(
                    f"{kernel!r} expects contiguous matrices of {self.dtype} or int64, got an array of shape "
                    f"{array.shape} and type {array.dtype}. Use program.vector(array) for a vector."
                )
        (self.at_the_end if at_the_end else self.steps).append(Instruction(kernel, list(operands), rows))

    def meet(self) -> None:
        """Have this worker wait for the others here."""
        if self.team.n_workers > 1:
            self.do(meet, self.team.gate)

    def when_all_are_back(self, add: Callable[[], None]) -> None:
        """Have instructions added that need the other workers' rows as well; at once if there are no others."""
        if self.team.n_workers == 1:
            add()
        else:
            self._when_all_are_back.append(add)

    def end_way_back(self) -> None:
        """Add what had to wait until all workers are through with the way back."""
        self.meet()
        for add in self._when_all_are_back:
            add()

    def do_in_python(self, function: Callable[[int], None], at_the_end: bool = False) -> None:
        """Add a function of the number of rows to the steps; for a team of one."""
        (self.at_the_end if at_the_end else self.steps).append(Formula(function))

    # --- what happens once a run of steps ---

    def before_a_run(self, function: Callable[[], None]) -> None:
        """Have a function called before every run of steps."""
        self.beginnings.append(function)

    def after_a_run(self, function: Callable[[int], None]) -> None:
        """Have a function called after every run, with the number of steps that were done."""
        if self.is_first:
            self.endings.append(function)

    def watch(self, find: Callable[[], np.ndarray]) -> np.ndarray:
        """An array that somebody else may replace by another; the program is then made anew.

        Parameters
        ----------
        find : callable
            Returns the array as it is now.

        Returns
        -------
        ndarray
        """
        array = find()
        self.watched.append((find, array))
        return array

    def setting(self, owner: Any, name: str, read: Callable[[Any], Any] | None = None) -> Any:
        """A setting that instructions depend on, such as a slope; if it changes, the program is made anew.

        Whatever type the number has (NumPy's, an array without axes, a fraction), its value counts, so that an
        array whose number is changed in place is noticed too.

        Parameters
        ----------
        owner : Layer, Loss or Optimizer
        name : str
            Of the attribute.
        read : callable, default=None
            What is made of the attribute; None for `plain_value`, `plain_values` for arrays too.

        Returns
        -------
        float, bool, str or None
            A number as a float.

        Raises
        ------
        NotASettingError
            If it is anything else, such as a number for each unit. `translate` then has the layer carried out
            by its formula; so ask for all settings before the first instruction is added.
        """
        read = read or plain_value
        value = read(getattr(owner, name))
        self.settings.append((owner, name, read, value))
        return value

    def watch_numbers(self, owner: Any) -> None:
        """Make the program anew if a number, a switch or a name among an object's own attributes changes."""
        state = getattr(owner, "_state_names", ())
        for name, value in vars(owner).items():
            if name in NO_SETTINGS or name in state:
                continue
            with suppress(NotASettingError):
                self.settings.append((owner, name, plain_value, plain_value(value)))

    def is_up_to_date(self) -> bool:
        """Whether all arrays that are watched are still the same, and all settings have the same values."""
        return all(find() is array for find, array in self.watched) and all(
            has_value(*setting) for setting in self.settings
        )


def segments_of_parts(*parts: list) -> list[list[tuple[int, int] | Callable[[int], None]]]:
    """The segments of each of several lists of steps, which follow each other in the machine."""
    segments, place = [], 0
    for steps in parts:
        segments.append(segments_of(steps, place))
        place += sum(not isinstance(step, Formula) for step in steps)
    return segments


def segments_of(steps: list, place: int = 0) -> list[tuple[int, int] | Callable[[int], None]]:
    """Runs of instructions for the machine, as (first, last), and what Python does between them."""
    segments = []
    for is_formula, group in groupby(steps, key=lambda step: isinstance(step, Formula)):
        steps_of_group = list(group)
        if is_formula:
            segments += [step.function for step in steps_of_group]
        else:
            segments.append((place, place + len(steps_of_group)))
            place += len(steps_of_group)
    return segments


def aligned(shape: tuple[int, ...], dtype) -> np.ndarray:
    """An array of zeros that begins where a cache line does."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.zeros(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(dtype).reshape(shape)


def copy_of(buffer: np.ndarray, rows: int, shape: tuple[int, ...]) -> np.ndarray:
    """The first rows of a buffer, in the shape of the samples."""
    return buffer[:rows].reshape(rows, *shape).copy()


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
