"""What whole layers and single steps share: the family's options as attributes, their check, their form for ops."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal, get_args

from torch import nn

from gatework.layers.arguments import ActivationGiven, Mistakes, is_number
from gatework.ops.family import Activation, Cell, Options, Precision

_RATES = ("zoneout_h", "zoneout_c")
_DERIVED = ("_activations", "_shapes", "_form")
_SWITCHES = (
    "bias",
    "layer_norm",
    "peephole",
    "coupled",
    "reset_after",
    "learned_state",
    "recompute",
)


class FamilyModule(nn.Module):
    """A module of the family. An option that a cell does not have keeps the value below, at which it does nothing."""

    _cell: ClassVar[Cell]
    _roles: ClassVar[tuple[str, ...]]  # what the activations are for
    _refused: ClassVar[Mapping[str, str]]  # options of relatives, and why they are none here

    input_size: int
    bias: bool
    proj_size: int = 0
    layer_norm: bool = False
    peephole: bool = False
    coupled: bool = False
    reset_after: bool = True
    cell_clip: float | None = None
    forget_bias: float | None = None
    learned_state: bool = False
    zoneout_h: float = 0.0
    zoneout_c: float = 0.0
    recurrent_dropout: float = 0.0
    recurrent_dropout_mode: Literal["variational", "candidate"] = "variational"
    recompute: bool = False
    precision: Precision = "float32"
    # not `activations`: under that name Opacus keeps what flows into a module
    _given_activations: Sequence[ActivationGiven] | None = ()
    _activations: tuple[Activation, ...]

    def _constructor(self) -> Mapping[str, inspect.Parameter]:
        """The arguments of the house's own class, also where a user's class is built on it."""
        own = next(each for each in type(self).__mro__ if "_cell" in vars(each))
        named = inspect.signature(own).parameters
        return {k: p for k, p in named.items() if p.kind is not inspect.Parameter.VAR_KEYWORD}

    def _derive(self) -> None:
        """Makes what follows from the attributes alone, under names of `_DERIVED`."""
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        """What was given and learned: files hold no class of ours, and outlive what follows from it."""
        return {name: value for name, value in vars(self).items() if name not in _DERIVED}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        mistakes = Mistakes()
        self._activations = mistakes.activations(self._wanted(mistakes), self._roles)
        mistakes.report()
        self._derive()

    def _verify(self, unknown: Iterable[str]) -> None:
        """Raises every mistake in the attributes, and in the keywords that the constructor does not know, at once."""
        mistakes = Mistakes()
        mistakes.unknown(unknown, self._refused, list(self._constructor()))
        self._check(mistakes)
        mistakes.report()

    def _check(self, mistakes: Mistakes) -> None:
        """Gathers what is wrong with the attributes."""
        for name in _SWITCHES:
            mistakes.kind(name, getattr(self, name), bool)
        for name in _RATES:
            mistakes.rate(name, getattr(self, name))
        mistakes.among("precision", self.precision, get_args(Precision))
        self._activations = mistakes.activations(self._wanted(mistakes), self._roles)
        clip = self.cell_clip
        if clip is not None and not (is_number(clip) and 0 < clip < float("inf")):
            mistakes.add(f"cell_clip must be a number above 0, or None for no bound, got {clip!r}")
        self._check_forget_bias(mistakes)

    def _wanted(self, mistakes: Mistakes) -> object:
        """The activations as they were given."""
        return self._given_activations

    def _check_forget_bias(self, mistakes: Mistakes) -> None:
        given = self.forget_bias
        if given is None:
            return
        if not is_number(given):
            mistakes.add(f"forget_bias must be a number or None, got {given!r}")
        if not self.bias:
            mistakes.add(
                f"forget_bias={given} needs biases; build with bias=True or leave forget_bias out"
            )
        if self.coupled:
            mistakes.add(
                f"forget_bias={given} has no gate to act on where coupled=True, for f = 1 - i; leave one of them out"
            )

    def _own_words(self) -> list[str]:
        """The options that torch does not have, as repr shows them: those that are on."""
        keywords = [p for p in self._constructor().values() if p.kind is p.KEYWORD_ONLY]
        kept = {"activations": "_given_activations"}
        given = [(p.name, getattr(self, kept.get(p.name, p.name)), p.default) for p in keywords]
        return [f"{name}={value!r}" for name, value, default in given if value != default]

    def _options(self) -> Options:
        """The options of a call, read anew so that a changed attribute acts."""
        candidate = self.recurrent_dropout_mode == "candidate" and self.training
        return Options(
            cell=self._cell,
            activations=self._activations,
            cell_clip=self.cell_clip or 0.0,
            zoneout_h=float(self.zoneout_h),
            zoneout_c=float(self.zoneout_c),
            candidate_dropout=float(self.recurrent_dropout) if candidate else 0.0,
            training=self.training,
            coupled=self.coupled,
            reset_after=self.reset_after,
            layer_norm=self.layer_norm,
            recompute=self.recompute,
            precision=self.precision,
            P=self.proj_size,
        )
