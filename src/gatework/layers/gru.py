"""`gatework.GRU`: torch.nn.GRU's arguments, weights, names and results, and the options of the family that a GRU has.

The equations with every option stand in reference/gru.py, one layer in ops/recurrent.py, the stack in recurrent.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NoReturn

import torch

from gatework.layers.arguments import ActivationGiven
from gatework.layers.recurrent import Recurrent
from gatework.ops.family import Precision

REFUSED = {
    "proj_size": "only the LSTM has a projection",
    "zoneout_c": "a GRU has no state c; use zoneout_h",
    "peephole": "a GRU has no state c that its gates could see",
    "coupled": "the gates of a GRU are coupled by definition: h' = (1 - z) * n + z * h",
    "cell_clip": "a GRU has no state c",
    "forget_bias": "a GRU has no forget gate",
    "nonlinearity": 'it belongs to the RNN; use activations=("sigmoid", "tanh")',
}


class GRU(Recurrent):
    """A stack of GRU layers over whole sequences, a drop-in for torch.nn.GRU.

    r = sigmoid(W_ir x + b_ir + W_hr h + b_hr), z alike; n = tanh(W_in x + b_in + r * (W_hn h + b_hn));
    h' = (1 - z) * n + z * h. Options that are off leave parameters, names and results exactly torch's.

    Args:
        input_size: features I of a step.
        hidden_size: units H of every layer, or a list with one size per layer; states then are lists over layers.
        num_layers: layers L, each reading the output of the one below.
        bias: whether there are b_ih and b_hh.
        batch_first: input and output are [N, T, .] instead of [T, N, .]; states never are.
        dropout: probability with which outputs of all but the last layer are zeroed in training.
        bidirectional: a second direction per layer reads backwards in time; D = 2.
        device, dtype: of the parameters.
        reset_after: r acts on the product W_hn h + b_hn as torch has it; False: on h before the product,
            n = tanh(W_in x + b_in + W_hn (r * h) + b_hn) (Cho et al. 2014).
        recurrent_dropout: probability with which units of h are dropped in the products with W_hh in training, never
            in the carried part z * h; the mask is drawn once per call, layer and direction (Gal & Ghahramani 2016).
        recurrent_dropout_per_gate: one such mask per gate, as Keras has it.
        recurrent_dropout_mode: "variational" as above, or "candidate": n is dropped instead, anew at each step
            (Semeniuta, Severyn & Barth 2016).
        zoneout_h: probability with which a unit of h keeps its value over a step in training; in eval mode the
            expectation is taken (Krueger et al. 2017).
        weight_dropout: probability with which entries of W_hh are dropped, drawn once per call in training (Merity,
            Keskar & Socher 2018).
        layer_norm: both products are normalised, r and z jointly and n alone (Ba, Kiros & Hinton 2016, appendix).
        activations: of (gates, candidate), each a name or (name, alpha[, beta]); the names stand at `gatework.LSTM`.
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
        >>> gru = gatework.GRU(8, 16, num_layers=2, batch_first=True, zoneout_h=0.1)
        >>> output, h_n = gru(torch.randn(4, 20, 8), lengths=torch.tensor([20, 7, 0, 13]))
        >>> output.shape, h_n.shape
        (torch.Size([4, 20, 16]), torch.Size([2, 4, 16]))

    Source: Cho, van Merrienboer, Gulcehre, Bahdanau, Bougares, Schwenk & Bengio 2014, equations 5 to 8.
    """

    _cell = "gru"
    _roles = ("gates", "candidate")
    _refused = REFUSED

    def __init__(
        self,
        input_size: int,
        hidden_size: int | Sequence[int],
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        reset_after: bool = True,
        recurrent_dropout: float = 0.0,
        recurrent_dropout_per_gate: bool = False,
        recurrent_dropout_mode: Literal["variational", "candidate"] = "variational",
        zoneout_h: float = 0.0,
        weight_dropout: float = 0.0,
        layer_norm: bool = False,
        activations: Sequence[ActivationGiven] = ("sigmoid", "tanh"),
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
            recurrent_dropout_per_gate=recurrent_dropout_per_gate,
            recurrent_dropout_mode=recurrent_dropout_mode,
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
        self.reset_after = reset_after
        self._build(device, dtype, unknown)
