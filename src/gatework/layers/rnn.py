"""`gatework.RNN`: torch.nn.RNN's arguments, weights, names and results, and the options of the family that an RNN has.

The equations with every option stand in reference/rnn.py, one layer in ops/recurrent.py, the stack in recurrent.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NoReturn

import torch

from gatework.layers.arguments import ActivationGiven, Mistakes
from gatework.layers.recurrent import Recurrent
from gatework.ops.family import Precision

REFUSED = {
    "proj_size": "only the LSTM has a projection",
    "recurrent_dropout_per_gate": "an RNN has no gates",
    "recurrent_dropout_mode": "an RNN has no candidate beside its state; recurrent_dropout masks h",
    "reset_after": "an RNN has no reset gate; it belongs to the GRU",
    "zoneout_c": "an RNN has no state c; use zoneout_h",
    "peephole": "an RNN has neither gates nor a state c",
    "coupled": "an RNN has no gates to couple",
    "cell_clip": "an RNN has no state c",
    "forget_bias": "an RNN has no forget gate",
}


def wanted_activations(
    nonlinearity: str, activations: Sequence[ActivationGiven] | None, mistakes: Mistakes
) -> Sequence[ActivationGiven]:
    """The RNN's one activation, which can be said in torch's words or in ours."""
    if activations is None:
        known = nonlinearity in ("tanh", "relu")
        if not known:
            mistakes.among("nonlinearity", nonlinearity, ("tanh", "relu"))
        return (nonlinearity if known else "tanh",)
    if nonlinearity != "tanh":
        mistakes.add(
            f"nonlinearity={nonlinearity!r} and activations={activations!r} say the same thing; leave one of them out"
        )
    return activations


class RNN(Recurrent):
    """A stack of plain recurrent layers (Elman) over whole sequences, a drop-in for torch.nn.RNN.

    h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or with relu. Options that are off leave parameters, names and results
    exactly torch's.

    Args:
        input_size: features I of a step.
        hidden_size: units H of every layer, or a list with one size per layer; states then are lists over layers.
        num_layers: layers L, each reading the output of the one below.
        nonlinearity: "tanh" or "relu", as torch has it.
        bias: whether there are b_ih and b_hh.
        batch_first: input and output are [N, T, .] instead of [T, N, .]; states never are.
        dropout: probability with which outputs of all but the last layer are zeroed in training.
        bidirectional: a second direction per layer reads backwards in time; D = 2.
        device, dtype: of the parameters.
        recurrent_dropout: probability with which units of h are dropped before W_hh in training; the mask is drawn
            once per call, layer and direction (Gal & Ghahramani 2016) and does not touch the output.
        zoneout_h: probability with which a unit of h keeps its value over a step in training; in eval mode the
            expectation is taken (Krueger et al. 2017).
        weight_dropout: probability with which entries of W_hh are dropped, drawn once per call in training (Merity,
            Keskar & Socher 2018).
        layer_norm: the sum W_ih x + W_hh h is normalised (Ba, Kiros & Hinton 2016, equation 4); one bias remains.
        activations: in place of nonlinearity, a tuple of one name or (name, alpha[, beta]) of those at `gatework.LSTM`.
        learned_state: the state at a start (no hx, or a reset) is not zeros but learned, per layer and direction.
        residual: each layer, the first too, adds what it reads to its output; the sizes must agree (refused otherwise).
            States and traces are without the sum.
        masked_output: "zero", or "carry" to repeat the last output where a step does not happen, as Keras does.
        recompute: gates are computed again for the backward pass instead of kept: less memory, more time.
        precision: of the products on the CPU: "float32"; "bfloat16", with parameters, sums, gates and states in float32
            (a bfloat16 module, or autocast, has the same and rounds the outputs too); "bfloat16_weights" or
            "int8_weights" (a scale for each row of W) for inference only.
        unknown: no further option is taken; the error says why, or names the nearest one that exists.

    Raises:
        OptionError: a value is out of range, or options contradict each other. TypeError: a type or a name is wrong.

    Example:
        >>> import torch, gatework
        >>> rnn = gatework.RNN(8, 16, nonlinearity="relu", batch_first=True)
        >>> output, h_n = rnn(torch.randn(4, 20, 8), lengths=torch.tensor([20, 7, 0, 13]))
        >>> output.shape, h_n.shape
        (torch.Size([4, 20, 16]), torch.Size([1, 4, 16]))

    Source: Elman 1990, Finding structure in time.
    """

    _cell = "rnn"
    _roles = ("candidate",)
    _refused = REFUSED

    def __init__(
        self,
        input_size: int,
        hidden_size: int | Sequence[int],
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        recurrent_dropout: float = 0.0,
        zoneout_h: float = 0.0,
        weight_dropout: float = 0.0,
        layer_norm: bool = False,
        activations: Sequence[ActivationGiven] | None = None,
        learned_state: bool = False,
        residual: bool = False,
        masked_output: Literal["zero", "carry"] = "zero",
        recompute: bool = False,
        precision: Precision = "float32",
        **unknown: NoReturn,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            recurrent_dropout=recurrent_dropout,
            zoneout_h=zoneout_h,
            weight_dropout=weight_dropout,
            layer_norm=layer_norm,
            activations=activations,
            learned_state=learned_state,
            residual=residual,
            masked_output=masked_output,
            recompute=recompute,
            precision=precision,
        )
        self.nonlinearity = nonlinearity
        self._build(device, dtype, unknown)

    def _wanted(self, mistakes: Mistakes) -> object:
        return wanted_activations(self.nonlinearity, self._given_activations, mistakes)
