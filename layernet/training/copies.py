"""Copies that share some attributes with the original, such as an open file."""

from __future__ import annotations

import copy
from typing import Any


class SharingCopies:
    """Object whose copies share the attributes in `shared`, and copy all others.

    Attributes
    ----------
    shared : tuple of str
        Names of attributes whose values copies share with the original. The class declares them. In a pickle,
        and so in a worker process, their values are None.

    Examples
    --------
    >>> import io
    >>> class Log(SharingCopies):
    ...     shared = ("file",)
    ...     def __init__(self, file):
    ...         self.file, self.lines = file, []
    >>> log = Log(io.StringIO())
    >>> twin = copy.deepcopy(log)
    >>> twin.file is log.file, twin.lines is log.lines
    (True, False)
    """

    shared: tuple[str, ...] = ()

    def __getstate__(self) -> Any:
        return {name: None if name in self.shared else value for name, value in vars(self).items()}

    def __copy__(self) -> Any:
        twin = type(self).__new__(type(self))
        self._fill(twin, self.__getstate__())
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        twin = memo[id(self)] = type(self).__new__(type(self))
        state = self.__getstate__()
        if type(state) is dict:
            state = {name: self._copy_of(name, value, memo) for name, value in state.items()}
        else:  # from a `__getstate__` of the subclass
            state = copy.deepcopy(state, memo)
        self._fill(twin, state)
        return twin

    def _fill(self, twin: Any, state: Any) -> None:
        if hasattr(twin, "__setstate__"):
            twin.__setstate__(state)
        else:
            vars(twin).update(state)
        vars(twin).update({name: value for name, value in vars(self).items() if name in self.shared})

    def _copy_of(self, name: str, value: Any, memo: dict[int, Any]) -> Any:
        try:
            return copy.deepcopy(value, memo)
        except TypeError as error:
            raise TypeError(
                f"{type(self).__name__}: the attribute {name!r} cannot be copied: {error}. If copies "
                f"shall share it, declare it in the class: shared = ({name!r},)."
            ) from error
