"""What a stack of layers is built from: its arguments, their check, its parameters by name, and its repr.

How it runs is in recurrent.py, what a single step shares with it in family.py.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from gatework.layers.arguments import ActivationGiven, Mistakes
from gatework.layers.family import FamilyModule
from gatework.layers.parameters import Shapes, direction_shapes, draw, register
from gatework.layers.states import Form
from gatework.ops.family import Precision

_TORCHS_WORDS = ("proj_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional")
_TORCHS_DEFAULTS = (0, 1, True, False, 0, False)


class Stack(FamilyModule):
    """Layers of one cell, one above the other; not public. `lstm.py` says what the arguments mean."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int | Sequence[int],
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        *,
        recurrent_dropout: float,
        zoneout_h: float,
        weight_dropout: float,
        layer_norm: bool,
        activations: Sequence[ActivationGiven] | None,
        learned_state: bool,
        residual: bool,
        masked_output: Literal["zero", "carry"],
        recompute: bool,
        precision: Precision,
        recurrent_dropout_per_gate: bool = False,
        recurrent_dropout_mode: Literal["variational", "candidate"] = "variational",
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = [*hidden_size] if isinstance(hidden_size, list | tuple) else hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = dropout
        self.bidirectional = bidirectional
        self.recurrent_dropout = recurrent_dropout
        self.recurrent_dropout_per_gate = recurrent_dropout_per_gate
        self.recurrent_dropout_mode = recurrent_dropout_mode
        self.zoneout_h = zoneout_h
        self.weight_dropout = weight_dropout
        self.layer_norm = layer_norm
        self._given_activations = activations
        self.learned_state = learned_state
        self.residual = residual
        self.masked_output = masked_output
        self.recompute = recompute
        self.precision = precision

    def _build(
        self,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
        unknown: Iterable[str],
    ) -> None:
        """Checks what the constructors stored, and makes the parameters."""
        self._verify(unknown)
        self.num_layers = len(self._sizes())  # a list says it alone
        self.dropout = float(self.dropout)
        if self.dropout > 0 and self.num_layers == 1:
            warnings.warn(
                f"dropout={self.dropout} acts between layers and num_layers=1 has nothing between; "
                "use more layers or a Dropout behind this one",
                stacklevel=3,
            )
        self._derive()
        for k, layer in enumerate(self._shapes):
            for suffix in self._suffixes(k):
                register(self, layer, suffix, device, dtype)
        self.reset_parameters()

    def _derive(self) -> None:
        self._shapes = self._parameter_shapes()
        self._form = self._make_form()

    def _check(self, mistakes: Mistakes) -> None:
        super()._check(mistakes)
        for name in ("dropout", "recurrent_dropout", "weight_dropout"):
            mistakes.rate(name, getattr(self, name))
        for name in ("batch_first", "recurrent_dropout_per_gate", "residual"):
            mistakes.kind(name, getattr(self, name), bool)
        mistakes.among("masked_output", self.masked_output, ("zero", "carry"))
        modes = ("variational", "candidate")
        mistakes.among("recurrent_dropout_mode", self.recurrent_dropout_mode, modes)
        if self.recurrent_dropout_per_gate and self.recurrent_dropout_mode == "candidate":
            mistakes.add(
                "recurrent_dropout_per_gate draws a mask of h for each gate and "
                'recurrent_dropout_mode="candidate" masks the candidate instead of h; leave one of them out'
            )
        mistakes.positive("input_size", self.input_size)
        mistakes.positive("num_layers", self.num_layers)
        mistakes.sizes(self.hidden_size, self.num_layers)
        if self.residual and not mistakes:
            outputs = [self._out(k) for k in range(len(self._sizes()))]
            mistakes.residual(self.input_size, outputs)

    def _sizes(self) -> list[int]:
        """H of every layer."""
        if isinstance(self.hidden_size, int):
            return [self.hidden_size] * self.num_layers
        return list(self.hidden_size)

    def _suffixes(self, layer: int) -> tuple[str, ...]:
        forward = f"_l{layer}"
        return (forward, forward + "_reverse") if self.bidirectional else (forward,)

    def _out(self, layer: int) -> int:
        """Features of the layer's output, D * R."""
        return len(self._suffixes(layer)) * (self.proj_size or self._sizes()[layer])

    def _parameter_shapes(self) -> list[Shapes]:
        """Per layer the parameters of one direction; both have the same."""
        options, width = self._options(), self.input_size
        shapes: list[Shapes] = []
        for k, H in enumerate(self._sizes()):
            own = {"peephole": self.peephole, "learned_state": self.learned_state}
            shapes.append(direction_shapes(options, width, H, bias=self.bias, **own))
            width = self._out(k)
        return shapes

    def _make_form(self) -> Form:
        H = tuple(self._sizes())
        R = tuple(self.proj_size or size for size in H)
        sizes = (R, H) if self._cell == "lstm" else (R,)
        return Form(sizes, len(self._suffixes(0)), not isinstance(self.hidden_size, int))

    def reset_parameters(self) -> None:
        """Draws every parameter anew: weights and biases in torch's order, so that the same seed gives torch's."""
        sizes = self._sizes()
        draw(self, lambda layer: sizes[layer])

    @property
    def all_weights(self) -> list[list[nn.Parameter]]:
        """The parameters of each layer and direction, in torch's order."""
        return [[getattr(self, name) for name in layer] for layer in self._all_weights]

    @property
    def mode(self) -> str:
        """torch's word for the cell: "LSTM", "GRU", "RNN_TANH" or "RNN_RELU"."""
        kind = f"_{getattr(self, 'nonlinearity', '')}" if self._cell == "rnn" else ""
        return (self._cell + kind).upper()

    @property
    def _all_weights(self) -> list[list[str]]:
        """The names of `all_weights`. Code that was written for torch's layers reads this and the next two."""
        every = enumerate(self._shapes)
        return [[n + suffix for n in layer] for k, layer in every for suffix in self._suffixes(k)]

    @property
    def _flat_weights_names(self) -> list[str]:
        return [name for layer in self._all_weights for name in layer]

    @property
    def _flat_weights(self) -> list[Tensor]:
        return [getattr(self, name) for name in self._flat_weights_names]

    def flatten_parameters(self) -> None:
        """Does nothing: there is no flat copy to refresh. Kept because callers of torch's layers call it."""

    def extra_repr(self) -> str:
        """torch's words for torch's options, then ours where they are on."""
        words = [f"{self.input_size}, {self.hidden_size}"]
        for name, default in zip(_TORCHS_WORDS, _TORCHS_DEFAULTS, strict=True):
            value = getattr(self, name)
            if value != default:
                words.append(f"{name}={value!r}")
        return ", ".join(words + self._own_words())
