"""What LSTMCell, GRUCell and RNNCell share: one step of one layer, which is the layer's operator with T = 1."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gatework.errors import ShapeError
from gatework.layers import check, per_sample
from gatework.layers.arguments import ActivationGiven
from gatework.layers.family import FamilyModule
from gatework.layers.parameters import collect, direction_shapes, draw
from gatework.ops import at_once, random, recurrent
from gatework.ops.family import Weights, draws, gates
from gatework.ops.path import Path
from gatework.weights.names import FIELDS

WHOLE_SEQUENCES = {
    "recurrent_dropout": "a single step takes its mask: cell(input, hx, dropout_mask=mask)",
    "recurrent_dropout_per_gate": "a single step takes its mask [N, gates, H]: cell(input, hx, dropout_mask=mask)",
    "recurrent_dropout_mode": "a single step takes its mask: cell(input, hx, dropout_mask=mask)",
    "weight_dropout": "its mask is for a whole sequence; use torch.nn.utils.parametrize",
    "learned_state": "a single step takes its state: cell(input, hx)",
    "residual": "a single step is one layer; add its input yourself",
    "masked_output": "a single step has no mask; leave the step out",
    "recompute": "a single step keeps little",
}  # options of whole layers, and why a single step has none of them


class _Call(NamedTuple):
    """A checked call: x [1, N, I], the states [1, N, H] (none, h, or h and c), drop [N, H] or [N, G, H]."""

    x: Tensor
    states: list[Tensor]
    weights: Weights
    drop: Tensor | None


class SingleStep(FamilyModule):
    """One step of a cell; not public. `cells.py` says what the arguments mean."""

    hidden_size: int

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        *,
        zoneout_h: float,
        layer_norm: bool,
        activations: Sequence[ActivationGiven] | None,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        self.zoneout_h = zoneout_h
        self.layer_norm = layer_norm
        self._given_activations = activations

    def _build(
        self,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
        unknown: Iterable[str],
    ) -> None:
        """Checks what the constructors stored, and makes the parameters; torch's names exist as None where off."""
        self._verify(unknown)
        self._derive()
        for name in dict.fromkeys(("weight_ih", "weight_hh", "bias_ih", "bias_hh", *self._shapes)):
            shape = self._shapes.get(name)
            value = None if shape is None else torch.empty(shape, device=device, dtype=dtype)
            self.register_parameter(name, None if value is None else nn.Parameter(value))
        self.reset_parameters()

    def _derive(self) -> None:
        I, H = self.input_size, self.hidden_size  # noqa: E741
        own = {"peephole": self.peephole, "learned_state": False}
        self._shapes = direction_shapes(self._options(), I, H, bias=self.bias, **own)

    def reset_parameters(self) -> None:
        """Draws every parameter anew: weights and biases in torch's order, so that the same seed gives torch's."""
        draw(self, lambda _: self.hidden_size)

    def _step(
        self, input: Tensor, hx: Sequence[Tensor] | None, dropout_mask: Tensor | None
    ) -> list[Tensor]:
        """The states after the step, laid out like the input: [h] or [h, c]."""
        if dropout_mask is None and not torch.is_grad_enabled():
            found = self._at_once(input, hx or ())
            if found is not None:
                return found
        if per_sample.is_sampled(self) and input.dim() == 2:
            return self._sampled_step(input, hx, dropout_mask)
        x, states, weights, drop = self._arrange(input, hx, dropout_mask)
        options = self._options()
        seeds = random.new_seed(1) if draws(options) else None
        h0, c0 = (*states, None, None)[:2]
        _, h, c, _ = recurrent.layer(x, h0, c0, [weights], options, drop=[drop], seeds=seeds)
        after = [h[0]] if c is None else [h[0], c[0]]  # of [N, H]
        state = None if hx is None else hx[-1]
        dtype = check.autocast_result(self._cell, input, state, weights.w_ih, single_step=True)
        after = after if dtype is None else [v.to(dtype) for v in after]
        return after if input.dim() == 2 else [v[0] for v in after]

    def _at_once(self, input: Tensor, hx: Sequence[Tensor]) -> list[Tensor] | None:
        """The usual step of inference; None where the call is not that."""
        if torch.compiler.is_compiling() or type(self).__getattr__ is not nn.Module.__getattr__:
            return None
        return at_once.step(input, hx, self._parameters, FIELDS, self._shapes, self._options())

    def _sampled_step(
        self, input: Tensor, hx: Sequence[Tensor] | None, dropout_mask: Tensor | None
    ) -> list[Tensor]:
        """With the gradients of every sample, for Opacus."""
        lstm = self._cell == "lstm"
        state = None if hx is None else tuple(hx) if lstm else hx[0]
        given = {"input": (input, 0), "hx": (state, 0), "dropout_mask": (dropout_mask, 0)}
        found = per_sample.run(self, given, (0, 0) if lstm else 0, len(input))
        return list(found) if lstm else [found]

    def _path(
        self, input: Tensor, hx: Sequence[Tensor] | None, dropout_mask: Tensor | None
    ) -> Path:
        x, states, weights, drop = self._arrange(input, hx, dropout_mask)
        h0, c0 = (*states, None, None)[:2]
        return recurrent.choose(x, h0, c0, [weights], self._options(), drop=[drop])

    def _arrange(
        self, input: Tensor, hx: Sequence[Tensor] | None, dropout_mask: Tensor | None
    ) -> _Call:
        name = self._get_name()
        if input.dim() not in (1, 2):
            raise ShapeError(
                f"{name}: Expected input to be 1D or 2D, got {input.dim()}D instead; "
                f"sequences go to gatework.{name.removesuffix('Cell')}"
            )
        weights = collect(self, self._shapes, "")
        x = check.check_input(input, self.input_size, weights.w_ih, name, single_step=True)
        x = x[None] if x.dim() == 2 else x[None, None]  # [1, N, I]
        batched, N, H = input.dim() == 2, x.shape[1], self.hidden_size
        which = [f"hx[{k}]" for k in range(len(hx or ()))] if self._cell == "lstm" else ["hidden"]
        states: list[Tensor] = []
        for place, (value, own) in enumerate(zip(hx or (), which, strict=False)):
            if value.dim() != input.dim():
                raise ShapeError(
                    f"{name}: Expected {own} to be 1D or 2D, got {value.dim()}D instead; "
                    f"the input has {input.dim()} axes, and a state as many"
                )
            states.append(
                check.check_cell_state(value if batched else value[None], (N, H), x, place)[None]
            )
        return _Call(x, states, weights, self._checked_mask(dropout_mask, batched, x))

    def _checked_mask(self, mask: Tensor | None, batched: bool, x: Tensor) -> Tensor | None:
        """[N, H] or [N, G, H], in the input's dtype."""
        if mask is None:
            return None
        G, N, H = gates(self._options()), x.shape[1], self.hidden_size
        wide = mask if batched else mask[None]
        if tuple(wide.shape) not in ((N, H), (N, G, H)) or not mask.is_floating_point():
            rows = f"{N}, " if batched else ""
            raise ShapeError(
                f"dropout_mask is {list(mask.shape)} of {mask.dtype}, expected [{rows}{H}], or per gate "
                f"[{rows}{G}, {H}], of 0 and 1/(1-p): torch.nn.functional.dropout(torch.ones({rows}{H}), p)"
            )
        if mask.device != x.device:
            raise ShapeError(f"dropout_mask is on {mask.device} and the input on {x.device}")
        return wide.to(x.dtype)

    def extra_repr(self) -> str:
        """torch's words for torch's arguments, then ours where they are on."""
        words = [f"{self.input_size}, {self.hidden_size}"]
        words += [] if self.bias else ["bias=False"]
        nonlinearity = getattr(self, "nonlinearity", "tanh")
        words += [] if nonlinearity == "tanh" else [f"nonlinearity={nonlinearity}"]
        return ", ".join(words + self._own_words())
