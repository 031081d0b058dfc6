"""`gatework.LSTM`: torch.nn.LSTM's arguments, weights, names and results, and the options of the family.

The equations with every option stand in reference/lstm.py, one layer in ops/recurrent.py, the stack in recurrent.py.
Not a subclass of torch.nn.LSTM: torch.compile refuses those.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NoReturn

import torch

from gatework.layers.arguments import ActivationGiven, Mistakes
from gatework.layers.parameters import set_forget_bias
from gatework.layers.recurrent import Recurrent
from gatework.ops.family import Precision

REFUSED = {
    "reset_after": "an LSTM has no reset gate; it belongs to the GRU",
    "nonlinearity": 'it belongs to the RNN; use activations=("sigmoid", "tanh", "tanh")',
}


class LSTM(Recurrent):
    """A stack of LSTM layers over whole sequences, a drop-in for torch.nn.LSTM.

    i = sigmoid(W_ii x + b_ii + W_hi h + b_hi), f, o alike, g with tanh; c' = f * c + i * g; h' = o * tanh(c').
    Options that are off leave parameters, names and results exactly torch's.

    Args:
        input_size: features I of a step.
        hidden_size: units H of every layer, or a list with one size per layer; states then are lists over layers.
        num_layers: layers L, each reading the output of the one below.
        bias: whether there are b_ih and b_hh.
        batch_first: input and output are [N, T, .] instead of [T, N, .]; states never are.
        dropout: probability with which outputs of all but the last layer are zeroed in training.
        bidirectional: a second direction per layer reads backwards in time; D = 2.
        proj_size: h is projected to P < H features.
        device, dtype: of the parameters.
        recurrent_dropout: probability with which units of h are dropped before W_hh in training; the mask is drawn
            once per call, layer and direction (Gal & Ghahramani 2016) and does not touch the output.
        recurrent_dropout_per_gate: one such mask per gate, as Keras has it.
        recurrent_dropout_mode: "variational" as above, or "candidate": g is dropped instead, anew at each step
            (Semeniuta, Severyn & Barth 2016).
        zoneout_h, zoneout_c: probability with which a unit of h or c keeps its value over a step in training; in eval
            mode the expectation is taken (Krueger et al. 2017).
        weight_dropout: probability with which entries of W_hh are dropped, drawn once per call in training (Merity,
            Keskar & Socher 2018).
        layer_norm: both products and the cell state are normalised, and one bias remains (Ba, Kiros & Hinton 2016,
            appendix).
        peephole: i and f see c, o sees c', each through a diagonal weight (Gers, Schraudolph & Schmidhuber 2002).
        coupled: f = 1 - i, so f has no weights (Greff et al. 2017).
        activations: of (gates, candidate, output), each a name or (name, alpha[, beta]): sigmoid, tanh, relu, affine,
            leaky_relu, thresholded_relu, scaled_tanh, hard_sigmoid, elu, softsign, softplus, clipped_sigmoid,
            clipped_tanh.
        cell_clip: c is held in [-cell_clip, cell_clip]; None is no bound (Sak, Senior & Beaufays 2014).
        forget_bias: the sum of both biases of f at creation; None leaves them as torch draws them.
        learned_state: the state at a start (no hx, or a reset) is not zeros but learned, per layer and direction.
        residual: each layer, the first too, adds what it reads to its output; the sizes must agree (refused otherwise).
            States and traces are without the sum.
        masked_output: "zero", or "carry" to repeat the last output where a step does not happen, as Keras does.
        recompute: gates are computed again for the backward pass instead of kept: less memory, more time.
        precision: of the products on the CPU: "float32"; "bfloat16", with parameters, sums, gates and states in float32
            (a bfloat16 module, or autocast, has the same and rounds the outputs too); "bfloat16_weights" or
            "int8_weights" (a scale for each row of W) for inference only.
        unknown: no further option is taken; the error names the nearest one that exists.

    Raises:
        OptionError: a value is out of range, or options contradict each other. TypeError: a type or a name is wrong.

    Example:
        >>> import torch, gatework
        >>> lstm = gatework.LSTM(8, 16, num_layers=2, batch_first=True, recurrent_dropout=0.2)
        >>> output, (h_n, c_n) = lstm(torch.randn(4, 20, 8), lengths=torch.tensor([20, 7, 0, 13]))
        >>> output.shape, h_n.shape
        (torch.Size([4, 20, 16]), torch.Size([2, 4, 16]))

    Source: Hochreiter & Schmidhuber 1997, section 4; Gers, Schmidhuber & Cummins 2000, section 3; projection: Sak,
    Senior & Beaufays 2014.
    """

    _cell = "lstm"
    _roles = ("gates", "candidate", "output")
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
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        recurrent_dropout: float = 0.0,
        recurrent_dropout_per_gate: bool = False,
        recurrent_dropout_mode: Literal["variational", "candidate"] = "variational",
        zoneout_h: float = 0.0,
        zoneout_c: float = 0.0,
        weight_dropout: float = 0.0,
        layer_norm: bool = False,
        peephole: bool = False,
        coupled: bool = False,
        activations: Sequence[ActivationGiven] = ("sigmoid", "tanh", "tanh"),
        cell_clip: float | None = None,
        forget_bias: float | None = None,
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
        self.proj_size = proj_size
        self.zoneout_c = zoneout_c
        self.peephole = peephole
        self.coupled = coupled
        self.cell_clip = cell_clip
        self.forget_bias = forget_bias
        self._build(device, dtype, unknown)

    def _check(self, mistakes: Mistakes) -> None:
        super()._check(mistakes)
        P, sizes = self.proj_size, self._sizes() if not mistakes else []
        if mistakes.kind("proj_size", P, int) and P < 0:
            mistakes.add(f"proj_size should be positive, or zero to disable projections, got {P}")
        for H in {H for H in sizes if P >= H}:
            mistakes.add(f"proj_size has to be smaller than hidden_size, got {P} and {H}")

    def reset_parameters(self) -> None:
        """Draws every parameter as torch does, then sets the forget bias where one was asked for."""
        super().reset_parameters()
        if self.forget_bias is not None:
            set_forget_bias(self, self.forget_bias)
