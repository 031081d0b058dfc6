"""Scikit-learn's manners without scikit-learn: arguments stored as given, get_params, set_params, clone-able, a repr.

The arguments of a task are the fields of its options dataclass; they are checked when `options()` is asked for.
"""

from __future__ import annotations

import inspect
from typing import Any, ClassVar, Generic, TypeVar

from gatework.errors import OptionError
from gatework.options import describe, from_mapping, nearest

O = TypeVar("O")  # noqa: E741
S = TypeVar("S", bound="Estimator[Any]")


class Estimator(Generic[O]):
    """Base of every task; a subclass names its options dataclass in `options_class`."""

    options_class: ClassVar[type[Any]]

    def __init_subclass__(cls) -> None:
        """Give the subclass the signature that its options spell out, for help() and editors."""
        keyword = inspect.Parameter.KEYWORD_ONLY
        fields = describe(cls.options_class)
        cls.__signature__ = inspect.Signature(
            [
                inspect.Parameter(f.name, keyword, default=f.default, annotation=f.type)
                for f in fields
            ]
        )

    def __init__(self, **options: Any) -> None:
        defaults = {info.name: info.default for info in describe(self.options_class)}
        self._refuse_unknown(options, defaults)
        for name, default in defaults.items():
            setattr(self, name, options.get(name, default))

    def options(self) -> O:
        """The arguments as the checked options dataclass.

        Raises:
            OptionError: one or several values do not fit; all of them are listed.
        """
        return from_mapping(self.options_class, self.get_params(), where=type(self).__name__)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments by name, as they were given; `deep` is there for scikit-learn and changes nothing."""
        return {info.name: getattr(self, info.name) for info in describe(self.options_class)}

    def set_params(self: S, **options: Any) -> S:
        """Change arguments by name; what was learned stays until the next `fit`.

        Raises:
            OptionError: a name that does not exist; the nearest one is offered, and nothing is changed.
        """
        self._refuse_unknown(options, self.get_params())
        for name, value in options.items():
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        defaults = {info.name: info.default for info in describe(self.options_class)}
        given = {
            name: value for name, value in self.get_params().items() if value != defaults[name]
        }
        return f"{type(self).__name__}({', '.join(f'{n}={v!r}' for n, v in given.items())})"

    def _refuse_unknown(self, options: dict[str, Any], known: dict[str, Any]) -> None:
        unknown = [name for name in options if name not in known]
        if unknown:
            each = "; ".join(f"there is no option {n!r}, {nearest(n, known)}" for n in unknown)
            raise OptionError(f"{type(self).__name__}: {each}")
