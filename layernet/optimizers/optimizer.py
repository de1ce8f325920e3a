"""Base class of optimizers: clipping, weight decay and blocks of the parameter vector."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from layernet.guards.read_only import with_read_only_arguments
from layernet.hints import OPTIMIZER_HINTS
from layernet.interrupts import uninterrupted
from layernet.layer import Layer
from layernet.optimizers.user_formulas import (
    require_places_for_slots,
    require_step_with_factors,
    unchanged_on_failure,
)
from layernet.owner import Owner
from layernet.representation import Configurable, is_of_the_package, require_method
from layernet.schedules import Schedule
from layernet.validation import FLOAT_TYPES, require_bool, require_number

# Entries of a block of the vectors: the blocks of all vectors and temporaries fit into the cache.
BLOCK_SIZE = 16384
# What `Optimizer.__init__` sets.
_SETTINGS = ("learning_rate", "weight_decay", "decay_biases", "clip_value", "clip_norm")


class Optimizer(Configurable):
    """Update rule for the parameters of a network; base class of optimizers.

    A subclass names its state vectors in `slots`; they start at zero. Its method
    `move(parameters, gradients, learning_rate, *slots)` updates a block of the parameters and of the slots in
    place, and does not change the gradients.

    An optimizer keeps the state of one network. `fit` of another network resets it; `update` with another
    network is refused. A copy, or an optimizer after `load_state`, continues with the next network.

    A step clips the gradients by value, then by global norm. It adds weight decay to the gradients (coupled) or
    subtracts it from the parameters (decoupled). Then `move` updates the parameters.

    Parameters
    ----------
    learning_rate : float or Schedule, default depends on the optimizer
        A schedule is called with the number of steps done.
    weight_decay : float, default=0.0
        d >= 0. Coupled: gradients + d * parameters, the derivative of an L2 penalty d / 2 * |parameters|**2.
        Decoupled: parameters - learning_rate * d * parameters, whatever the gradients (Loshchilov and Hutter,
        2019). Each optimizer says which.
    decay_biases : bool, default=False
        Whether weight decay also applies to biases and to the scales of normalizations.
    clip_value : float, default=None
        Each entry of the gradient is clipped to ±clip_value.
    clip_norm : float, default=None
        The whole gradient is scaled down to this Euclidean length if it is longer (Pascanu et al., 2013).

    Attributes
    ----------
    steps : int
        Number of steps done.
    last_learning_rate : float or None
        The learning rate of the last step.
    """

    slots: tuple[str, ...] = ()
    decoupled = False
    steps = 0
    last_learning_rate: float | None = None
    _memory: dict[str, np.ndarray] | None = None
    _owner = Owner()
    # The learning rate before the first training of a network, and after the last.
    _rates: tuple[Any, Any] | None = None

    _is_of_the_package = True
    _argument_hints = _assignment_hints = OPTIMIZER_HINTS

    def __init_subclass__(cls, abstract: bool = False, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._is_of_the_package = is_of_the_package(cls)
        if not abstract:
            require_method(cls, Optimizer, ("move", "step"), "moves the parameters")
        for name in () if cls._is_of_the_package else {"move", "step"} & vars(cls).keys():
            setattr(cls, name, with_read_only_arguments(vars(cls)[name], ("gradients",), first=1))

    def __init__(
        self,
        learning_rate: float | Callable[[int], float],
        weight_decay: float = 0.0,
        decay_biases: bool = False,
        clip_value: float | None = None,
        clip_norm: float | None = None,
    ) -> None:
        if not callable(learning_rate) or isinstance(learning_rate, type):  # a class is no schedule yet
            learning_rate = require_number(self, "learning_rate", learning_rate, at_least=0)
        self.learning_rate = learning_rate
        self.weight_decay = require_number(self, "weight_decay", weight_decay, at_least=0)
        self.decay_biases = require_bool(self, "decay_biases", decay_biases)
        self.clip_value = require_number(self, "clip_value", clip_value, above=0, or_none=True)
        self.clip_norm = require_number(self, "clip_norm", clip_norm, above=0, or_none=True)

    def __getattr__(self, name: str) -> Any:
        who = type(self).__name__
        if name in _SETTINGS:
            raise AttributeError(
                f"{who} has no {name!r}: its __init__ did not call super().__init__(learning_rate, ...), which "
                "sets it. Call it first."
            )
        hint = OPTIMIZER_HINTS.get(name)
        raise AttributeError(f"{who} has no {name!r}. {hint}" if hint else f"{who} has no attribute {name!r}.")

    def update(self, network: Layer) -> None:
        """Update a network's parameters by the gradients of its last backward pass, and call its `end_step`.

        Parameters
        ----------
        network : Layer
            Built. Its `end_step` is called once, after the update.

        Raises
        ------
        ValueError
            If the optimizer has the state of another network.
        """
        self._refuse_another(network)
        parameters, gradients = network.parameter_vector, network.gradient_vector
        with uninterrupted:
            self.move_all(
                parameters,
                gradients,
                self.effective_decay_mask(network.decay_mask),
                learning_rate_factors=network.learning_rate_factors,
            )
            network.end_step()

    def move_all(
        self,
        parameters: np.ndarray,
        gradients: np.ndarray,
        decay_mask: np.ndarray | None = None,
        complete_gradients: Callable[[slice], None] | None = None,
        learning_rate_factors: np.ndarray | None = None,
    ) -> None:
        """Do a `step` without checks of its arguments; restore everything if a user's `step` fails.

        The arguments are those of `step`. Signals must be deferred by the caller; see `interrupts`.
        """
        if type(self).step is Optimizer.step and "step" not in vars(self):
            self._move_blocks(parameters, gradients, decay_mask, complete_gradients, learning_rate_factors)
            return
        # No plan gives `complete_gradients` to a user's step, which needs factors only if a layer sets them.
        with unchanged_on_failure(self, parameters):
            if learning_rate_factors is None:
                self.step(parameters, gradients, decay_mask)
            else:
                require_step_with_factors(self)
                self.step(parameters, gradients, decay_mask, learning_rate_factors=learning_rate_factors)

    def reset(self) -> None:
        """Return to the state of a new optimizer: no steps, empty slots, and a schedule at its start.

        A learning rate that changed during training, by a callback for instance, gets its value before
        training.
        """
        self.steps, self.last_learning_rate, self._memory = 0, None, None
        if self._rates is not None and self.learning_rate == self._rates[1]:
            self.learning_rate = self._rates[0]
        if hasattr(self.learning_rate, "reset"):
            self.learning_rate.reset()
        self._owner, self._rates = Owner(), None

    def begin_training(self, network: Layer) -> None:
        """Reset the optimizer unless its state belongs to this network; `fit` calls this.

        Parameters
        ----------
        network : Layer
            Built.
        """
        if self.is_of_another(network):
            self.reset()
        if isinstance(self.learning_rate, Schedule):
            self.learning_rate.begin_training(network, is_new=self.steps == 0)
        self._owner = Owner(network)
        if self._rates is None or self.learning_rate != self._rates[1]:
            self._rates = self.learning_rate, self.learning_rate

    def is_of_another(self, network: Layer) -> bool:
        """Return whether the state belongs to another network."""
        return self._owner.is_known and not self._owner.is_network(network)

    def end_training(self) -> None:
        """Record the learning rate at the end of training; `fit` calls this."""
        if self._rates is not None:
            self._rates = self._rates[0], self.learning_rate

    def _refuse_another(self, network: Layer) -> None:
        """Raise a ValueError if the next step would depend on steps of another network."""
        if self._owner.is_network(network):
            return
        if self._owner.is_known and (self._memory or callable(self.learning_rate)):
            raise ValueError(
                f"This {type(self).__name__} remembers {self.steps} steps of another network. Use an optimizer "
                "for each network, or call reset() to start anew."
            )
        self._owner = Owner(network)

    def effective_decay_mask(self, decay_mask: np.ndarray) -> np.ndarray | None:
        """Return a network's `decay_mask`, or None if it makes no difference for this optimizer."""
        return None if self.decay_biases or not self.weight_decay else decay_mask

    def step(
        self,
        parameters: np.ndarray,
        gradients: np.ndarray,
        decay_mask: np.ndarray | None = None,
        complete_gradients: Callable[[slice], None] | None = None,
        learning_rate_factors: np.ndarray | None = None,
    ) -> None:
        """Update a vector of parameters in place.

        Parameters
        ----------
        parameters : ndarray of shape (n_parameters,), float32 or float64
            Changed in place.
        gradients : ndarray of shape (n_parameters,)
            They do not change.
        decay_mask : ndarray of shape (n_parameters,), default=None
            1 where weight decay applies, 0 where it does not; None applies it everywhere.
        complete_gradients : callable, default=None
            Called with the slice of each block before the block is moved: adds what is still missing from its
            gradients while the block is in the cache. Not for `clip_norm`, which needs all gradients at first.
        learning_rate_factors : ndarray of shape (n_parameters,), default=None
            The learning rate of each parameter is multiplied by its factor; None for 1.

        Raises
        ------
        TypeError
            If the parameters are not an array of floats.
        ValueError
            If gradients, decay_mask or learning_rate_factors have another shape than the parameters, or the
            slots have another size.
        """
        if not isinstance(parameters, np.ndarray) or parameters.dtype not in FLOAT_TYPES:
            raise TypeError(f"parameters must be an array of float32 or float64, got {parameters!r}.")
        for name, vector in (
            ("gradients", gradients),
            ("decay_mask", decay_mask),
            ("learning_rate_factors", learning_rate_factors),
        ):
            if vector is not None and np.shape(vector) != parameters.shape:
                raise ValueError(
                    f"{name} must have the shape of the parameters, {parameters.shape}, got {np.shape(vector)}."
                )
        with uninterrupted:
            self._move_blocks(parameters, gradients, decay_mask, complete_gradients, learning_rate_factors)

    def _move_blocks(
        self,
        parameters: np.ndarray,
        gradients: np.ndarray,
        decay_mask: np.ndarray | None,
        complete_gradients: Callable[[slice], None] | None,
        learning_rate_factors: np.ndarray | None,
    ) -> None:
        """Do a step; restore everything if it fails."""
        memory, shrink = self._memory_for(parameters), self._norm_factor(gradients)
        arguments = (
            parameters, gradients, decay_mask, complete_gradients, learning_rate_factors, memory, shrink,
        )  # fmt: skip
        # The package's own formulas raise nothing, unless NumPy is told to: there a copy, which would take a
        # quarter of Adam's time, is saved.
        is_of_the_package = self._is_of_the_package and "move" not in vars(self)
        if is_of_the_package and "raise" not in np.geterr().values():
            self._move_each_block(*arguments)
            return
        with unchanged_on_failure(self, parameters):
            self._move_each_block(*arguments)

    def _move_each_block(
        self,
        parameters: np.ndarray,
        gradients: np.ndarray,
        decay_mask: np.ndarray | None,
        complete_gradients: Callable[[slice], None] | None,
        learning_rate_factors: np.ndarray | None,
        memory: list[np.ndarray],
        shrink: float,
    ) -> None:
        self.last_learning_rate = learning_rate = self.current_learning_rate()
        self.steps += 1

        for start in range(0, parameters.size, BLOCK_SIZE):
            block = slice(start, start + BLOCK_SIZE)
            if complete_gradients is not None:
                complete_gradients(block)
            rate: Any = learning_rate
            if learning_rate_factors is not None:
                rate = learning_rate * learning_rate_factors[block]
            values, gradient = parameters[block], gradients[block]
            if self.clip_value is not None:
                gradient = np.clip(gradient, -self.clip_value, self.clip_value)
            if shrink != 1:
                gradient = gradient * shrink
            if self.weight_decay:
                pull = self.weight_decay * (values if decay_mask is None else values * decay_mask[block])
                if self.decoupled:
                    values -= rate * pull
                else:
                    gradient = gradient + pull
            moved = self.move(values, gradient, rate, *[slot[block] for slot in memory])
            if moved is not None and moved is not values:
                raise TypeError(
                    f"{type(self).__name__}.move must change parameters in place, and it returned another "
                    f"{type(moved).__name__}: write parameters -= ..."
                )

    def move(
        self, parameters: np.ndarray, gradients: np.ndarray, learning_rate: float, *slots: Any, **others: Any
    ) -> np.ndarray | None:
        """Apply the optimizer's formula to a block of the parameters and of each slot, in place.

        A subclass names its slots: `move(self, parameters, gradients, learning_rate, velocity)`. It returns
        nothing, or the parameters. The learning rate is a number, and an array with an entry for each parameter
        of the block where a layer gives its parameters a `rate` other than 1.
        """
        raise NotImplementedError

    def current_learning_rate(self) -> float:
        """Return the learning rate of the next step."""
        if callable(self.learning_rate):
            return float(self.learning_rate(self.steps))
        return float(self.learning_rate)

    def memory_is_finite(self) -> bool:
        """Return whether all slots are finite: an infinite average never becomes finite again."""
        return all(bool(np.isfinite(vector).all()) for vector in (self._memory or {}).values())

    def state(self) -> dict[str, Any]:
        """Return a copy of the state: all that the next step depends on beside the constructor's arguments.

        Returns
        -------
        dict
            `steps`; the learning rate, or the state of its schedule; and a vector for each slot after a step.
        """
        own: dict[str, Any] = {
            name: vector.copy() for name, vector in (self._memory or {}).items() if name in self.slots
        }
        if not callable(self.learning_rate):
            own["learning_rate"] = self.learning_rate
        elif hasattr(self.learning_rate, "state"):
            own["schedule"] = self.learning_rate.state()
        return {"steps": self.steps, **own}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore a state that `state()` of an optimizer of the same class returned.

        Raises
        ------
        ValueError
            If the state is of another class of optimizer, or of another kind of learning rate. The optimizer is
            unchanged then.
        """
        vectors = {name: value for name, value in state.items() if isinstance(value, np.ndarray)}
        others = set(state) - set(vectors) - {"steps", "learning_rate", "schedule"}
        if others or "steps" not in state or set(vectors) not in (set(), set(self.slots)):
            raise ValueError(
                f"{type(self).__name__} remembers {list(self.slots)}, got a state with {sorted(state)}. "
                "Load a state of the same optimizer."
            )
        load_schedule = getattr(self.learning_rate, "load_state", None)
        has_schedule = load_schedule is not None
        if ("schedule" in state and not has_schedule) or ("learning_rate" in state and has_schedule):
            raise ValueError(
                f"{self!r} has the learning_rate {self.learning_rate!r}, got the state of an optimizer whose "
                f"learning rate is {state.get('learning_rate', 'a schedule')}. Give both the same."
            )
        if load_schedule is not None and "schedule" in state:
            load_schedule(state["schedule"])
        self.learning_rate = state.get("learning_rate", self.learning_rate)
        self.steps = state["steps"]
        self._memory = {name: vectors[name].copy() for name in self.slots} if vectors else None
        self._owner, self._rates = Owner(), None

    def require(self, condition: bool, name: str, value: Any, expected: str) -> None:
        """Raise a ValueError for an argument that violates a condition."""
        if not condition:
            raise ValueError(f"{type(self).__name__}: {name} must be {expected}, got {value!r}.")

    def _memory_for(self, parameters: np.ndarray) -> list[np.ndarray]:
        if self._memory is None or tuple(self._memory) != tuple(self.slots):
            # Settings may have changed in between: a momentum that was 0 before needs a velocity now.
            require_places_for_slots(self)
            known = self._memory or {}
            self._memory = {
                name: known[name] if name in known else self.initial_slot_values(name, parameters)
                for name in self.slots
            }
        memory = list(self._memory.values())
        if memory and memory[0].shape != parameters.shape:
            raise ValueError(
                f"This {type(self).__name__} has moved {memory[0].size} parameters before and was given "
                f"{parameters.size} now. Use a new optimizer for another network."
            )
        return memory

    def initial_slot_values(self, name: str, parameters: np.ndarray) -> np.ndarray:
        """Return the initial value of a slot; zeros by default."""
        # np.zeros allocates memory when it is first used; zeros_like would write the zeros at once.
        return np.zeros(parameters.shape, parameters.dtype)

    def _norm_factor(self, gradients: np.ndarray) -> float:
        if self.clip_norm is None:
            return 1
        if self.clip_value is not None:
            gradients = np.clip(gradients, -self.clip_value, self.clip_value)
        # In double precision: the squares of float32 gradients overflow beyond 1e19.
        norm = math.sqrt(sum(float(np.vdot(b, b)) for b in _in_double_precision(gradients)))
        return 1 if norm <= self.clip_norm else self.clip_norm / norm


def _in_double_precision(vector: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, vector.size, BLOCK_SIZE):
        yield vector[start : start + BLOCK_SIZE].astype(np.float64, copy=False)
