"""`gatework.LSTM`: torch.nn.LSTM's arguments, weights, names and results, and lengths, mask, reset and a trace.

The equations stand in reference/lstm.py, one layer's run in ops/lstm.py. Not a subclass of torch.nn.LSTM: torch.compile
refuses those. Not here: dropout inside the recurrence, layer norm, peepholes.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence

from gatework.errors import ShapeError
from gatework.layers import check
from gatework.layers.arguments import check_own, check_types, check_values
from gatework.layers.masked import repeat_last_output
from gatework.layers.packed import pack_like, unpack
from gatework.layers.parameters import collect, parameter_shapes
from gatework.ops import lstm as ops
from gatework.ops.lstm import Weights
from gatework.ops.path import Path
from gatework.ops.trace import Trace

State = tuple[Tensor, Tensor]


class _Call(NamedTuple):
    """A checked call: x with three axes, h0, c0 [L*D, N, H] or None, and the weights of each layer and direction."""

    x: Tensor
    hx: State | None
    weights: list[list[Weights]]
    lengths: Tensor | None
    mask: Tensor | None
    reset: Tensor | None
    batch_first: bool


class LSTM(nn.Module):
    """A stack of LSTM layers over whole sequences, a drop-in for torch.nn.LSTM.

    i = sigmoid(W_ii x + b_ii + W_hi h + b_hi), f, o alike, g with tanh; c' = f * c + i * g; h' = o * tanh(c').

    Args:
        input_size: features I of a step.
        hidden_size: units H of every layer.
        num_layers: layers L, each reading the output of the one below.
        bias: whether there are b_ih and b_hh.
        batch_first: input and output are [N, T, .] instead of [T, N, .]; states never are.
        dropout: probability with which outputs of all but the last layer are zeroed in training.
        bidirectional: a second direction per layer reads backwards in time; D = 2.
        proj_size: h is projected to P < H features; runs in the composed path.
        device, dtype: of the parameters.
        forget_bias: the sum of both biases of f at creation; None leaves them as torch draws them.
        masked_output: "zero", or "carry" to repeat the last output where a step does not happen, as Keras does.

    Raises:
        OptionError: a value is out of range. TypeError: it has the wrong type.

    Example:
        >>> import torch, gatework
        >>> lstm = gatework.LSTM(8, 16, num_layers=2, batch_first=True)
        >>> output, (h_n, c_n) = lstm(torch.randn(4, 20, 8), lengths=torch.tensor([20, 7, 0, 13]))
        >>> output.shape, h_n.shape
        (torch.Size([4, 20, 16]), torch.Size([2, 4, 16]))

    Source: Hochreiter & Schmidhuber 1997, section 4; Gers, Schmidhuber & Cummins 2000, section 3; projection: Sak,
    Senior & Beaufays 2014.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        forget_bias: float | None = None,
        masked_output: Literal["zero", "carry"] = "zero",
    ) -> None:
        super().__init__()
        check_types(input_size, hidden_size, bias, batch_first)
        check_values(input_size, hidden_size, num_layers, dropout, proj_size)
        check_own(bias, forget_bias, masked_output)
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                f"dropout={dropout} acts between layers and num_layers=1 has nothing between; "
                "use more layers or a Dropout behind this one",
                stacklevel=2,
            )
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self.forget_bias = forget_bias
        self.masked_output = masked_output
        self._shapes = parameter_shapes(
            input_size, hidden_size, num_layers, bias, bidirectional, proj_size
        )
        for direction in (d for layer in self._shapes for d in layer):
            for name, shape in direction:
                parameter = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
                self.register_parameter(name, parameter)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws every parameter from U(-1/sqrt(H), 1/sqrt(H)) in torch's order: the same seed gives torch's weights."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)
        if self.forget_bias is None:
            return
        H = self.hidden_size
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if name.startswith("bias_"):
                    value = self.forget_bias if name.startswith("bias_ih") else 0.0
                    parameter[H : 2 * H] = value

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: State | None = None,
        *,
        lengths: Tensor | Sequence[int] | None = None,
        mask: Tensor | None = None,
        reset: Tensor | None = None,
        return_trace: bool = False,
    ) -> Any:
        """Runs the stack over a batch of sequences.

        Args:
            input: [T, N, I]; [N, T, I] where batch_first; [T, I] for one sequence; or a PackedSequence.
            hx: (h_0 [L*D, N, H or P], c_0 [L*D, N, H]), without N for one sequence; zeros where None.
            lengths: [N] integers from 0 to T, on any device, in any order: steps from there on do not happen.
            mask: bool, laid out like the input without its last axis: where False the step does not happen and the
                state is carried.
            reset: bool, likewise: a new sequence starts here, so the state is set back to zeros before this step
                (the backward direction: before the step that precedes it).
            return_trace: also return the gates and states of every step.

        Returns:
            output [T, N, D*H] laid out like the input, (h_n, c_n) after each row's last step, and where asked for a
            list over layers of `Trace`.

        Raises:
            ShapeError: a shape, dtype, device, length or weight does not fit.
        """
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx, (lengths, mask, reset), return_trace)
        call = self._arrange(input, hx, lengths, mask, reset)
        y, state, traces = self._run(call, return_trace)
        if input.dim() == 2:
            y, state = y.squeeze(1), (state[0].squeeze(1), state[1].squeeze(1))
            traces = [Trace(*(v.squeeze(2) for v in trace)) for trace in traces]
        elif call.batch_first:
            traces = [Trace(*(v.transpose(1, 2) for v in trace)) for trace in traces]
        return (y, state, traces) if return_trace else (y, state)

    def path_of(
        self,
        input: Tensor | PackedSequence,
        hx: State | None = None,
        *,
        lengths: Tensor | Sequence[int] | None = None,
        mask: Tensor | None = None,
        reset: Tensor | None = None,
        return_trace: bool = False,
    ) -> Path:
        """The path that `forward` takes with these arguments; `gatework.explain_path` puts it into a sentence."""
        if isinstance(input, PackedSequence):
            self._refuse_with_packed((lengths, mask, reset))
            x, lengths, _ = unpack(input)
            call = self._arrange_time_first(x, _permuted(hx, input.sorted_indices), lengths)
        else:
            call = self._arrange(input, hx, lengths, mask, reset)
        h0, c0 = (None, None) if call.hx is None else call.hx
        options = (call.lengths, call.mask, call.reset, return_trace)
        return ops.choose(call.x, h0, c0, call.weights[0], *options)

    def _run(self, call: _Call, return_trace: bool) -> tuple[Tensor, State, list[Trace]]:
        D = 2 if self.bidirectional else 1
        y = call.x
        h_n: list[Tensor] = []
        c_n: list[Tensor] = []
        traces: list[Trace] = []
        for layer, weights in enumerate(call.weights):
            own = slice(layer * D, (layer + 1) * D)
            h0, c0 = (None, None) if call.hx is None else (call.hx[0][own], call.hx[1][own])
            if layer > 0 and self.dropout > 0 and self.training:
                y = self._drop(y, call.batch_first)
            y, h, c, trace = ops.lstm(
                y,
                h0,
                c0,
                weights,
                lengths=call.lengths,
                mask=call.mask,
                reset=call.reset,
                batch_first=call.batch_first,
                trace=return_trace,
            )
            h_n.append(h)
            c_n.append(c)
            traces += [] if trace is None else [trace]
        if self.masked_output == "carry":
            y = repeat_last_output(y, D, call.lengths, call.mask, call.batch_first)
        if len(h_n) == 1:
            return y, (h_n[0], c_n[0]), traces
        return y, (torch.cat(h_n), torch.cat(c_n)), traces

    def _drop(self, y: Tensor, batch_first: bool) -> Tensor:
        """Dropout drawn time first, as torch draws it, so that the same seed drops the same outputs."""
        if not batch_first:
            return functional.dropout(y, self.dropout)
        N, T, K = y.shape
        return y * functional.dropout(y.new_ones(T, N, K), self.dropout).transpose(0, 1)

    def _forward_packed(
        self,
        packed: PackedSequence,
        hx: State | None,
        options: tuple[Any, Any, Any],
        return_trace: bool,
    ) -> Any:
        self._refuse_with_packed(options)
        x, lengths, place = unpack(packed)
        call = self._arrange_time_first(x, _permuted(hx, packed.sorted_indices), lengths)
        y, state, traces = self._run(call, return_trace)
        output = pack_like(packed, y, place)
        state = _permuted(state, packed.unsorted_indices)
        if not return_trace:
            return output, state
        if packed.unsorted_indices is not None:
            back = packed.unsorted_indices
            traces = [Trace(*(v.index_select(2, back) for v in trace)) for trace in traces]
        if self.batch_first:
            traces = [Trace(*(v.transpose(1, 2) for v in trace)) for trace in traces]
        return output, state, traces

    def _refuse_with_packed(self, options: tuple[Any, Any, Any]) -> None:
        for name, option in zip(("lengths", "mask", "reset"), options, strict=True):
            if option is not None:
                raise ShapeError(
                    f"{name} was given together with a PackedSequence, which has its own lengths; "
                    "pass the padded tensor instead (torch.nn.utils.rnn.pad_packed_sequence)"
                )

    def _arrange(
        self,
        input: Tensor,
        hx: State | None,
        lengths: Tensor | Sequence[int] | None,
        mask: Tensor | None,
        reset: Tensor | None,
    ) -> _Call:
        """Checks a call and gives it a batch axis where it has none."""
        if not isinstance(input, Tensor):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ShapeError(f"LSTM: the input must be a tensor, got {type(input).__name__}")
        if input.dim() not in (2, 3):
            raise ShapeError(
                f"LSTM: Expected input to be 2D or 3D, got {input.dim()}D instead; "
                "give [T, I] for one sequence or a batch of sequences"
            )
        batched = input.dim() == 3
        batch_first = self.batch_first and batched
        steps = input.shape[:-1]
        check.check_flags(mask, steps, input, "mask")
        check.check_flags(reset, steps, input, "reset")
        if lengths is not None:
            N = steps[0 if batch_first else 1] if batched else None
            lengths = check.check_lengths(lengths, N)
        hx = check.check_pair(hx, batched)
        if not batched:
            input = input.unsqueeze(1)
            mask, reset = (None if v is None else v.unsqueeze(1) for v in (mask, reset))
        return self._arrange_time_first(input, hx, lengths, mask, reset, batch_first)

    def _arrange_time_first(
        self,
        x: Tensor,
        hx: State | None,
        lengths: Tensor | None,
        mask: Tensor | None = None,
        reset: Tensor | None = None,
        batch_first: bool = False,
    ) -> _Call:
        """Checks x (with its batch axis, time first unless batch_first), the states and the weights."""
        weights = collect(self, self._shapes)
        first = weights[0][0].w_ih
        x = check.check_input(x, self.input_size, first, "LSTM")
        N, T = (x.shape[0], x.shape[1]) if batch_first else (x.shape[1], x.shape[0])
        if T == 0:
            raise ShapeError("the input has 0 steps, expected sequence length to be larger than 0")
        if hx is not None:
            LD = self.num_layers * (2 if self.bidirectional else 1)
            h_shape = (LD, N, self.proj_size or self.hidden_size)
            h0 = check.check_state(hx[0], h_shape, x, "hidden[0]")
            c0 = check.check_state(hx[1], (LD, N, self.hidden_size), x, "hidden[1]")
            hx = (h0, c0)
        return _Call(x, hx, weights, lengths, mask, reset, batch_first)

    @property
    def all_weights(self) -> list[list[nn.Parameter]]:
        """The parameters of each layer and direction, in torch's order."""
        return [
            [getattr(self, name) for name, _ in direction]
            for layer in self._shapes
            for direction in layer
        ]

    def flatten_parameters(self) -> None:
        """Does nothing: there is no flat copy to refresh. Kept because callers of torch.nn.LSTM call it."""

    def extra_repr(self) -> str:
        """torch's words for torch's options, then ours where they are on."""
        words = [f"{self.input_size}, {self.hidden_size}"]
        for name, default in _REPR_DEFAULTS.items():
            value = getattr(self, name)
            if value != default:
                words.append(f"{name}={value!r}")
        return ", ".join(words)


_REPR_DEFAULTS: dict[str, object] = {
    "proj_size": 0,
    "num_layers": 1,
    "bias": True,
    "batch_first": False,
    "dropout": 0,
    "bidirectional": False,
    "forget_bias": None,
    "masked_output": "zero",
}


def _permuted(state: State | None, order: Tensor | None) -> Any:
    if state is None or order is None:
        return state
    return state[0].index_select(1, order), state[1].index_select(1, order)
