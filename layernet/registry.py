"""Registry of classes by name: layers, losses, optimizers and initializers that can be given as strings."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Mapping
from typing import TypeVar

from layernet.representation import Configurable

Kind = TypeVar("Kind", bound="Configurable")


def find_by_name(kind: type[Kind], value: str | Kind, argument: str) -> Kind:
    """An object of a kind from its name, or the object itself.

    Parameters
    ----------
    kind : type
        The base class, `Loss` for instance.
    value : str or object
        `"cross_entropy"`, `"CrossEntropy"`, or an object of the kind, which is returned as it is. The
        name of the kind may be left out at the end: `"huber"` for `HuberLoss`.
    argument : str
        What the argument is called where the user gave it, for the error.

    Returns
    -------
    object
        An instance of `kind`, made with its defaults when it was given by name.

    Raises
    ------
    ValueError
        If the name is unknown (the known ones are listed), or stands for what has no defaults.
    TypeError
        If it is neither a name nor an object of the kind.
    """
    if isinstance(value, kind):
        return value
    if isinstance(value, type) and issubclass(value, kind):
        raise TypeError(
            f"{argument} is the class {value.__name__}, not an object of it. Write {value.__name__}(...)."
        )
    if not isinstance(value, str):
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        raise TypeError(
            f"{argument} must be {article} {kind.__name__} or the name of one, got {type(value).__name__}."
        )
    known = classes_by_name(kind)
    key = value.replace("_", "").lower()
    found = known.get(key) or known.get(key + kind.__name__.lower())
    if found is None:
        names = ", ".join(sorted(each.__name__ for each in known.values()))
        raise ValueError(f"{argument}={value!r} is not known. {nearest(value, known)}Known are: {names}.")
    needed = [
        name
        for name, parameter in inspect.signature(found).parameters.items()
        if parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    if needed:
        raise ValueError(f"{argument}={value!r} needs {needed}: give an object, {found.__name__}(...).")
    return found()


def classes_by_name(kind: type[Kind]) -> dict[str, type[Kind]]:
    """Every subclass of `kind` whose name is public, by its name in small letters; of one name the newest.

    In a notebook, a cell that defines a class is often run again.
    """
    family = list(kind.__subclasses__())
    for subclass in family:
        family += [deeper for deeper in subclass.__subclasses__() if deeper not in family]
    family.sort(key=lambda each: each._definition)
    return {each.__name__.lower(): each for each in family if not each.__name__.startswith("_")}


def nearest(name: str, known: Mapping[str, type]) -> str:
    """A sentence about the class that somebody may have meant, if there is one.

    Parameters
    ----------
    name : str
        Misspelled, cut down to initials ("mse"), or of more or fewer words than the class's.
    known : mapping of str to type
        Classes by their names in small letters.

    Returns
    -------
    str
        Empty, or with a space at its end.
    """
    plain = name.replace("_", "").lower()
    initials = {re.sub("[^A-Z]", "", each.__name__).lower(): each for each in known.values()}
    contained = [each for each in sorted(known, key=len) if each in plain]
    near = [initials.get(plain), *(known[each] for each in contained[-1:])]
    wider = sorted((not each.startswith(plain), each) for each in known if plain and plain in each)
    near += [known[each] for _, each in wider[:1]]
    near += [known[each] for each in difflib.get_close_matches(plain, known, 1)]
    return next((f"Did you mean {each.__name__!r}? " for each in near if each is not None), "")
