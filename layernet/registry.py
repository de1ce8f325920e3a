"""Registry of classes by name: layers, losses, optimizers and initializers that can be given as strings."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import TypeVar

from layernet.representation import Configurable, constructor_parameters

Kind = TypeVar("Kind", bound="Configurable")


def find_by_name(kind: type[Kind], value: str | Kind, argument: str) -> Kind:
    """Return an object from the name of its class, or the object itself.

    Parameters
    ----------
    kind : type
        Base class of the object, `Loss` for instance.
    value : str or object
        Name of a class, as `"cross_entropy"` or `"CrossEntropy"`, or an object of the kind. The name may leave
        out the name of the kind at its end: `"huber"` for `HuberLoss`.
    argument : str
        Name of the user's argument, for errors.

    Returns
    -------
    object
        The object that was given, or a new one with default arguments.

    Raises
    ------
    ValueError
        If the name is unknown (the error lists the known names), or its class needs arguments.
    TypeError
        If the value is neither a name nor an object of the kind.
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
        raise ValueError(f"{argument}={value!r} is not known. {suggestion(value, known)}Known are: {names}.")
    needed = [
        name
        for name, parameter in constructor_parameters(found).items()
        if parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    if needed:
        raise ValueError(f"{argument}={value!r} needs {needed}: give an object, {found.__name__}(...).")
    return found()


def classes_by_name(kind: type[Kind]) -> dict[str, type[Kind]]:
    """Return all public, concrete subclasses of `kind` by their names in small letters.

    Of several classes with one name, the newest counts: a notebook's cell that defines a class may run again.
    """
    family = list(kind.__subclasses__())
    for subclass in family:
        family += [deeper for deeper in subclass.__subclasses__() if deeper not in family]
    family.sort(key=lambda each: each._definition)
    return {each.__name__.lower(): each for each in family if is_public(each)}


def is_public(cls: type[Configurable]) -> bool:
    """Return whether objects of a class can be given by name: not of helpers and of abstract classes."""
    is_helper = not vars(cls).get("_has_public_name", True) or cls.__name__.startswith("_")
    return not is_helper and not vars(cls).get("_is_abstract", False)


def suggestion(name: str, known: Mapping[str, type]) -> str:
    """Return a sentence that names the most similar class, or an empty string if none is similar.

    Parameters
    ----------
    name : str
        Misspelled, initials ("mse"), or with more or fewer words than the name of the class.
    known : mapping of str to type
        Classes by their names in small letters.

    Returns
    -------
    str
        Ends with a space, unless it is empty.
    """
    plain = name.replace("_", "").lower()
    initials = {re.sub("[^A-Z]", "", each.__name__).lower(): each for each in known.values()}
    contained = [each for each in sorted(known, key=len) if each in plain]
    near = [initials.get(plain), *(known[each] for each in contained[-1:])]
    wider = sorted((not each.startswith(plain), each) for each in known if plain and plain in each)
    near += [known[each] for _, each in wider[:1]]
    near += [known[each] for each in difflib.get_close_matches(plain, known, 1)]
    return next((f"Did you mean {each.__name__!r}? " for each in near if each is not None), "")
