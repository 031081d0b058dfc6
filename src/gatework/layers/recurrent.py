"""The stack that LSTM, GRU and RNN share: layers one above the other, packed and unbatched input, masks drawn per call.

The cells themselves are in ops/ (one layer: `ops.recurrent.layer`); names and equations in lstm.py, gru.py, rnn.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from gatework.errors import ShapeError
from gatework.layers import check, per_sample, states
from gatework.layers.drawn import drop_between, drop_weights, masks_of_h
from gatework.layers.masked import add_where_it_happens, repeat_last_output
from gatework.layers.packed import Unpacked, pack_like, unpack
from gatework.layers.parameters import collect
from gatework.layers.stack import Stack
from gatework.layers.states import States
from gatework.layers.symbolic import as_one_node, is_symbolic
from gatework.ops import random, recurrent
from gatework.ops.family import Options, Weights, draws, gates
from gatework.ops.path import Path
from gatework.ops.trace import LayerTrace


class _Call(NamedTuple):
    """A checked call: x with three axes, the states or None, the weights of each layer and direction, the flags.

    rounded_to: the dtype that autocast wants of the results; None leaves them.
    """

    x: Tensor
    states: States | None
    weights: list[list[Weights]]
    lengths: Tensor | None
    mask: Tensor | None
    reset: Tensor | None
    batch_first: bool
    batched: bool
    rounded_to: torch.dtype | None

    def before(self, layer: int) -> tuple[Tensor | None, Tensor | None]:
        """h0 and c0 of a layer, [D, N, .]; None where there is none."""
        if self.states is None:
            return None, None
        h0, *c0 = (part[layer] for part in self.states)
        return h0, c0[0] if c0 else None


class _Drawn(NamedTuple):
    """What is drawn for one layer of one call: its weights thinned, a factor of h per direction, the steps' seeds."""

    weights: list[Weights]
    drop: list[Tensor] | None
    seeds: Tensor | None


class Recurrent(Stack):
    """A stack that runs over whole sequences; not public. `lstm.py` says what the arguments mean."""

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: Any = None,
        *,
        lengths: Tensor | Sequence[int] | None = None,
        mask: Tensor | None = None,
        reset: Tensor | None = None,
        return_trace: bool = False,
    ) -> Any:
        """Runs the stack over a batch of sequences.

        Args:
            input: [T, N, I]; [N, T, I] where batch_first; [T, I] for one sequence; or a PackedSequence.
            hx: the state before the first step: for an LSTM (h_0 [L*D, N, H or P], c_0 [L*D, N, H]), else h_0; without
                N for one sequence. Where hidden_size is a list, each tensor is a list over layers of
                [D, N, .]. None is the learned state, or zeros.
            lengths: [N] integers from 0 to T, on any device, in any order: steps from there on do not happen.
            mask: bool, laid out like the input without its last axis: where False the step does not happen and the
                state is carried.
            reset: bool, likewise: a new sequence starts here, so the state is set back before this step, to zeros or to
                the learned state (the backward direction: before the step that precedes it).
            return_trace: also return the gates and states of every step.

        Returns:
            output [T, N, D*H] laid out like the input, the state after each row's last step in the form of hx, and
            where asked for a list over layers of `Trace`, `GRUTrace` or `RNNTrace`.

        Raises:
            ShapeError: a shape, dtype, device, length or weight does not fit.
        """
        if is_symbolic(input):
            steps = {"lengths": lengths, "mask": mask, "reset": reset}
            return as_one_node(self, input, hx=hx, **steps, return_trace=return_trace or None)
        if isinstance(input, PackedSequence):
            self._refuse_with_packed(lengths, mask, reset)
            return self._forward_packed(input, hx, return_trace)
        call = self._arrange(input, hx, lengths, mask, reset)
        if per_sample.is_sampled(self):
            return self._forward_sampled(call, input, hx, return_trace)
        y, last, traces = self._run(call, return_trace)
        if not call.batched:
            y = y.squeeze(1)
            traces = [_each(trace, lambda v: v.squeeze(2)) for trace in traces]
        elif call.batch_first:
            traces = [_each(trace, lambda v: v.transpose(1, 2)) for trace in traces]
        state = states.give(last, self._form, call.batched)
        return (y, state, traces) if return_trace else (y, state)

    def _forward_sampled(self, call: _Call, input: Tensor, hx: Any, return_trace: bool) -> Any:
        """With the gradients of every sample, for Opacus."""
        if return_trace or not call.batched:
            raise ShapeError(
                f"{self._get_name()}: under Opacus's hooks a call has a batch axis and no return_trace"
            )
        rows = 0 if call.batch_first else 1
        given = {
            "input": (input, rows),
            "hx": (hx, 1),
            "lengths": (call.lengths, 0),
            "mask": (call.mask, rows),
            "reset": (call.reset, rows),
        }
        states = (1, 1) if self._cell == "lstm" else 1
        return per_sample.run(self, given, (rows, states), input.shape[rows])

    def _forward_packed(self, packed: PackedSequence, hx: Any, return_trace: bool) -> Any:
        unpacked = unpack(packed)
        call = self._arrange_packed(packed, unpacked, hx)
        y, last, traces = self._run(call, return_trace)
        output = pack_like(packed, y, unpacked.place)
        back = packed.unsorted_indices
        state = states.give(states.permuted(last, back), self._form, batched=True)
        if not return_trace:
            return output, state
        if back is not None:
            order = back
            traces = [_each(trace, lambda v: v.index_select(2, order)) for trace in traces]
        if self.batch_first:
            traces = [_each(trace, lambda v: v.transpose(1, 2)) for trace in traces]
        return output, state, traces

    def path_of(
        self,
        input: Tensor | PackedSequence,
        hx: Any = None,
        *,
        lengths: Tensor | Sequence[int] | None = None,
        mask: Tensor | None = None,
        reset: Tensor | None = None,
        return_trace: bool = False,
    ) -> Path:
        """The path of the first layer in a `forward` with these arguments; `gatework.explain_path` makes a sentence."""
        if isinstance(input, PackedSequence):
            self._refuse_with_packed(lengths, mask, reset)
            call = self._arrange_packed(input, unpack(input), hx)
        else:
            call = self._arrange(input, hx, lengths, mask, reset)
        h0, c0 = call.before(0)
        masks = [call.x.detach()] * len(call.weights[0])  # any tensor: none is drawn for a question
        return recurrent.choose(
            call.x,
            h0,
            c0,
            call.weights[0],
            self._options(),
            drop=masks if self._masks_h() else None,
            lengths=call.lengths,
            mask=call.mask,
            reset=call.reset,
            batch_first=call.batch_first,
            trace=return_trace,
        )

    def _run(self, call: _Call, return_trace: bool) -> tuple[Tensor, States, list[LayerTrace]]:
        y, options = call.x, self._options()
        ends: list[tuple[Tensor, ...]] = []
        traces: list[LayerTrace] = []
        for k, weights in enumerate(call.weights):
            if k > 0 and self.dropout > 0 and self.training:
                y = drop_between(y, self.dropout, call.batch_first)
            h0, c0 = call.before(k)
            drawn = self._draw(call, weights, options)
            below = y
            y, h, c, trace = recurrent.layer(
                y,
                h0,
                c0,
                drawn.weights,
                options,
                drop=drawn.drop,
                seeds=drawn.seeds,
                lengths=call.lengths,
                mask=call.mask,
                reset=call.reset,
                batch_first=call.batch_first,
                trace=return_trace,
            )
            if self.residual:
                y = add_where_it_happens(y, below, call.lengths, call.mask, call.batch_first)
            ends.append((h,) if c is None else (h, c))
            traces += [] if trace is None else [trace]
        if self.masked_output == "carry":
            D = len(call.weights[0])
            y = repeat_last_output(y, D, call.lengths, call.mask, call.batch_first)
        last = tuple([*part] for part in zip(*ends, strict=True))
        dtype = call.rounded_to
        if dtype is not None:
            y, last = y.to(dtype), tuple([v.to(dtype) for v in part] for part in last)
        return y, last, traces

    def _masks_h(self) -> bool:
        """Whether h is masked in this mode: the variational recurrent dropout."""
        variational = self.recurrent_dropout_mode == "variational"
        return self.training and self.recurrent_dropout > 0 and variational

    def _draw(self, call: _Call, weights: list[Weights], options: Options) -> _Drawn:
        """Nothing is drawn that is not used, so that torch's generator stays where torch's layer leaves it."""
        drop, masked = None, self._masks_h()
        seeds = random.new_seed(len(weights)) if masked or draws(options) else None
        if masked and seeds is not None:
            N, R = call.x.shape[0 if call.batch_first else 1], weights[0].w_hh.shape[1]
            shape = (N, gates(options), R) if self.recurrent_dropout_per_gate else (N, R)
            drop = masks_of_h(shape, self.recurrent_dropout, seeds, call.x)
        if self.weight_dropout > 0 and self.training:
            weights = drop_weights(weights, self.weight_dropout)
        return _Drawn(weights, drop, seeds)

    def _refuse_with_packed(self, *flags: object) -> None:
        for name, flag in zip(("lengths", "mask", "reset"), flags, strict=True):
            if flag is not None:
                raise ShapeError(
                    f"{name} was given together with a PackedSequence, which has its own lengths; "
                    "pass the padded tensor instead (torch.nn.utils.rnn.pad_packed_sequence)"
                )

    def _arrange(
        self,
        input: Tensor,
        hx: Any,
        lengths: Tensor | Sequence[int] | None,
        mask: Tensor | None,
        reset: Tensor | None,
    ) -> _Call:
        """Checks a call and gives it a batch axis where it has none."""
        name = self._get_name()
        if not isinstance(input, Tensor):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ShapeError(f"{name}: the input must be a tensor, got {type(input).__name__}")
        if input.dim() not in (2, 3):
            raise ShapeError(
                f"{name}: Expected input to be 2D or 3D, got {input.dim()}D instead; "
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
        given = states.read(hx, self._form, batched)
        if not batched:
            input = input.unsqueeze(1)
            mask, reset = (None if v is None else v.unsqueeze(1) for v in (mask, reset))
        x, weights = self._fitting(input)
        rows, length = (x.shape[0], x.shape[1]) if batch_first else (x.shape[1], x.shape[0])
        if length == 0:
            raise ShapeError("the input has 0 steps, expected sequence length to be larger than 0")
        before = states.check(given, self._form, rows, x)
        dtype = self._rounded_to(input, given, weights)
        return _Call(x, before, weights, lengths, mask, reset, batch_first, batched, dtype)

    def _arrange_packed(self, packed: PackedSequence, unpacked: Unpacked, hx: Any) -> _Call:
        """Checks a call whose rows are in the packed order: time first, with lengths."""
        x, weights = self._fitting(unpacked.x)
        form = self._form
        given = states.read(hx, form, batched=True)
        before = states.check(given, form, x.shape[1], x)
        before = None if before is None else states.permuted(before, packed.sorted_indices)
        dtype = self._rounded_to(packed.data, given, weights)
        return _Call(x, before, weights, unpacked.lengths, None, None, False, True, dtype)

    def _rounded_to(
        self, x: Tensor, given: states.Given | None, weights: list[list[Weights]]
    ) -> torch.dtype | None:
        """The dtype of the results under autocast, which is that of torch's layer for this input and state."""
        state = None if given is None else given[-1]
        state = state[0] if isinstance(state, list) else state
        return check.autocast_result(self._cell, x, state, weights[0][0].w_ih, single_step=False)

    def _fitting(self, x: Tensor) -> tuple[Tensor, list[list[Weights]]]:
        """The input in the dtype of the weights, and the weights of each layer and direction."""
        weights: list[list[Weights]] = []
        for k, layer in enumerate(self._shapes):
            like = weights[0][0].w_ih if weights else None
            own: list[Weights] = []
            for suffix in self._suffixes(k):
                own.append(collect(self, layer, suffix, own[0].w_ih if own else like))
            weights.append(own)
        x = check.check_input(x, self.input_size, weights[0][0].w_ih, self._get_name())
        return x, weights


def _each(trace: LayerTrace, change: Callable[[Tensor], Tensor]) -> LayerTrace:
    return type(trace)(*(change(v) for v in trace))
