"""A program: what a step of training does as a list of instructions, on buffers that are made once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from layernet.engine.compiled.intrinsics import ALL_ROWS, OWN_ROWS
from layernet.engine.compiled.kernel import Kernel
from layernet.engine.compiled.kernels.batches import add_up, shares, sum_weights
from layernet.engine.compiled.kernels.structure import clear, meet
from layernet.engine.compiled.settings import NO_SETTINGS, NotASettingError, has_value, plain_value
from layernet.engine.compiled.trial import try_kernel
from layernet.engine.compiled.workers import Team, aligned


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
        self._memories: set[int] = set()  # that these buffers lie in
        self._gradients_in_use: set[int] = set()
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
        self._memories.add(id(everything.base))
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
        """A parameter or a piece of state as a matrix that shares its memory; see `shape_of_matrix`."""
        if not isinstance(values, np.ndarray) or not values.flags.c_contiguous:
            what = (
                f"strides {values.strides}" if isinstance(values, np.ndarray) else f"a {type(values).__name__}"
            )
            raise ValueError(
                f"program.vector expects a contiguous array, whose memory kernels can share, got {what}. Give "
                "it np.ascontiguousarray(values) if nobody writes there."
            )
        return values.reshape(shape_of_matrix(values))

    def gradient(self, of_network: np.ndarray) -> np.ndarray:
        """The worker's own place for a gradient, given the network's, as a matrix of the parameter's shape.

        What the workers write there, each for its own rows, is added up in the end. Before a third-party kernel
        writes there, it is set to zero in every step.
        """
        shape = shape_of_matrix(of_network)
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
        types = (self.dtype, np.int64, np.int32, np.float64) if kernel.is_own else (self.dtype, np.int64)
        for array in operands:
            if array.ndim != 2 or not array.flags.c_contiguous or array.dtype not in types:
                raise ValueError(
                    f"{kernel!r} expects contiguous matrices of {self.dtype} or int64, got an array of shape "
                    f"{array.shape} and type {array.dtype}. Use program.vector(array) for a vector."
                )
            if id(array.base) in self._memories and id(array) not in self._own and id(array) not in self._all:
                raise ValueError(
                    f"{kernel!r} expects buffers of samples as program.for_samples returns them, got a view "
                    f"of one, of shape {array.shape}. A kernel sees as many rows of a buffer as the batch has, "
                    "and all rows of anything else."
                )
        instructions = self.at_the_end if at_the_end else self.steps
        if not kernel.is_own:
            team = self.team
            try_kernel(kernel, operands, rows, self.dtype, team.part, team.part * team.n_workers)
        for array in operands:
            if self._is_new_gradient(array) and not kernel.is_own:  # which may add to what is there
                instructions.append(Instruction(clear, [array], [len(array)]))
        instructions.append(Instruction(kernel, list(operands), rows))

    def _is_new_gradient(self, array):
        """Whether an operand is the place of a gradient that no instruction so far has had to do with."""
        place = array.ctypes.data
        gradients = (self.team.gradients[self.worker], self.team.gradients[0])
        is_one = any(each.ctypes.data <= place < each.ctypes.data + each.nbytes for each in gradients)
        if not is_one or place in self._gradients_in_use:
            return False
        self._gradients_in_use.add(place)
        return True

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

    def watch_arrays(self, owner: Any) -> None:
        """Make the program anew if one of an object's own arrays is replaced by another."""
        for name, array in vars(owner).items():
            if isinstance(array, np.ndarray):
                self.watched.append((partial(vars(owner).get, name), array))

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


def shape_of_matrix(array: np.ndarray) -> tuple[int, int]:
    """The shape of an array as a matrix: its own with two axes, and else that of one row.

    Examples
    --------
    >>> [shape_of_matrix(np.zeros(shape)) for shape in [(2, 3), (4,), (2, 3, 4), ()]]
    [(2, 3), (1, 4), (1, 24), (1, 1)]
    """
    return array.shape if array.ndim == 2 else (1, array.size)


def copy_of(buffer: np.ndarray, rows: int, shape: tuple[int, ...]) -> np.ndarray:
    """The first rows of a buffer, in the shape of the samples."""
    return buffer[:rows].reshape(rows, *shape).copy()
