"""Completeness of classes: both passes are defined, and the two methods for a pass agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from layernet.layer import Layer

PASSES = ("forward_pass", "backward_pass", "record", "backward_from", "parameter_gradients")


class Pass(NamedTuple):
    """One direction of a contract, and the two methods of which either follows from the other.

    Attributes
    ----------
    direction : str
        What it is called in errors.
    plain, reusing : str
        The method that computes everything itself, and the one that keeps or takes a record.
    """

    direction: str
    plain: str
    reusing: str


def require_both_passes(
    cls: type, contract: type, forward: Pass, backward: Pass, plain_may_stay: bool = False
) -> None:
    """Raise an error for a class in which a pass is missing, or in which two ways of doing it would disagree.

    Parameters
    ----------
    cls : type
    contract : type
        The base class, whose own methods only turn one way of doing a pass into the other.
    forward, backward : Pass
    plain_may_stay : bool, default=False
        Whether a class may extend the record of a class with plain methods alone: where training calls nothing
        else, no method is ignored.
    """

    def definer(name):
        return next(base for base in cls.__mro__ if name in vars(base))

    for direction, plain, reusing in (forward, backward):
        if definer(plain) is contract and definer(reusing) is contract:
            raise TypeError(
                f"{cls.__name__} has no {direction}: define {plain}, or {reusing} for one that reuses work."
            )
        for mine, other in ((plain, reusing), (reusing, plain))[: 1 if plain_may_stay else 2]:
            # What an abstract class defines is made to go with the methods of its subclasses.
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
    """Have a class that defines a pass say for itself whether it accepts sparse rows."""
    if "accepts_sparse" not in vars(cls) and any(name in vars(cls) for name in PASSES):
        cls.accepts_sparse = False  # what was declared is true of the passes that it replaces
