"""Completeness of classes: both passes are defined, and the two methods for a pass agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from layernet.layer import Layer

PASSES = ("forward_pass", "backward_pass", "record", "backward_from", "parameter_gradients")


class Pass(NamedTuple):
    """One pass of a contract, with its two methods, each of which can be derived from the other.

    Attributes
    ----------
    direction : str
        Name of the pass, for errors.
    plain, reusing : str
        The method without a record, and the method that returns or takes a record.
    """

    direction: str
    plain: str
    reusing: str


def require_both_passes(
    cls: type, contract: type, forward: Pass, backward: Pass, plain_may_stay: bool = False
) -> None:
    """Raise a TypeError for a class that lacks a pass, or whose two methods for a pass disagree.

    Parameters
    ----------
    cls : type
    contract : type
        Base class, whose methods derive one method of a pass from the other.
    forward, backward : Pass
    plain_may_stay : bool, default=False
        Whether a class may add a record to a parent with plain methods. Losses may: training calls only the
        methods with a record.
    """

    def definer(name: str) -> Any:
        return next(base for base in cls.__mro__ if name in vars(base))

    for direction, plain, reusing in (forward, backward):
        if definer(plain) is contract and definer(reusing) is contract:
            raise TypeError(f"{cls.__name__} has no {direction}: define {plain}, or {reusing} to reuse values.")
        for mine, other in ((plain, reusing), (reusing, plain))[: 1 if plain_may_stay else 2]:
            # Methods of an abstract class agree with those of its subclasses by design.
            if definer(mine) is cls and definer(other) is not cls and not definer(other)._is_abstract:
                raise TypeError(
                    f"{cls.__name__} defines {mine} but inherits {other} from {definer(other).__name__}, and "
                    f"the two would disagree. Define {other} too."
                )
    extends = plain_may_stay and definer(forward.plain) is not contract
    if definer(forward.reusing) is not contract and definer(backward.reusing) is contract and not extends:
        raise TypeError(
            f"{cls.__name__} defines {forward.reusing} but not {backward.reusing}, so nothing reads the "
            f"record. Define {backward.reusing}."
        )


def reset_accepts_sparse(cls: type[Layer]) -> None:
    """Set `accepts_sparse` to False on a class that defines a pass and does not declare it."""
    if "accepts_sparse" not in vars(cls) and any(name in vars(cls) for name in PASSES):
        cls.accepts_sparse = False  # the declaration was made for the passes that this class replaces
