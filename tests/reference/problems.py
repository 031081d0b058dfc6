"""Random runs of the reference's cells with any options, and the judgement of their gradients by finite differences."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from gatework.reference.options import Options
from gatework.reference.steps import steps_that_happen
from gatework.reference.weights import Weights
from tests.tolerances import assert_close

T, N, I, H = 4, 3, 2, 3  # noqa: E741
STEP = 4e-7  # small: layer norm of three values is strongly curved
NAMES = {  # of an input and its gradient, where it is not d + name
    "lstm": {"b_ih": "db", "b_hh": "db"},
    "gru": {"b_ih": "db_ih", "b_hh": "db_hh"},
    "rnn": {"b_ih": "db", "b_hh": "db"},
}


class Problem:
    """A run with everything drawn at random: weights, states, steps, masks, and gradients that arrive.

    `parts` names what exists beyond w_ih, w_hh and the biases: projection, peephole, learned, drop, drop_per_gate,
    lengths, mask, reset, reverse; and what does not: no_bias, no_state.
    """

    def __init__(self, cell: ModuleType, parts: str = "", seed: int = 0, **options: Any):
        self.cell, self.name = cell, cell.__name__.rpartition(".")[2]
        self.parts, self.options = parts.split(), Options(**{"seed": seed, **options})
        self.draw = np.random.default_rng(seed)
        normal, has = self.draw.normal, self.parts.__contains__
        G = {"lstm": 3 if self.options.coupled else 4, "gru": 3, "rnn": 1}[self.name]
        self.R = R = 2 if has("projection") else H
        self.inputs: dict[str, np.ndarray] = {"x": normal(size=(T, N, I))}
        if not has("no_state"):
            self.inputs["h0"] = normal(size=(N, R))
            if self.name == "lstm":
                self.inputs["c0"] = normal(size=(N, H))
        shapes = {"w_ih": (G * H, I), "w_hh": (G * H, R)}
        lone_bias = self.options.layer_norm and self.name != "gru"
        if not has("no_bias"):
            shapes |= {"b_ih": (G * H,)} | ({} if lone_bias else {"b_hh": (G * H,)})
        if has("projection"):
            shapes["w_hr"] = (R, H)
        if has("peephole"):
            shapes["peephole"] = ((G - 1) * H,)
        if self.options.layer_norm:
            shapes |= {"gain_hh": (G * H,)}
            shapes |= {} if self.name == "rnn" else {"gain_ih": (G * H,)}
            shapes |= {"gain_c": (H,)} if self.name == "lstm" else {}
            shapes |= {"bias_c": (H,)} if self.name == "lstm" and not has("no_bias") else {}
        if has("learned"):
            shapes |= {"learned_h": (R,)} | ({"learned_c": (H,)} if self.name == "lstm" else {})
        self.inputs |= {name: normal(size=shape) * 0.6 for name, shape in shapes.items()}
        drawn = {
            "lengths": np.array([T, 0, 2]),
            "mask": self.draw.random((T, N)) < 0.7,
            "reset": self.draw.random((T, N)) < 0.4,
            "reverse": True,
        }
        self.steps: dict[str, Any] = {k: v for k, v in drawn.items() if has(k)}
        shape = (N, G, R) if has("drop_per_gate") else (N, R)
        if has("drop") or has("drop_per_gate"):
            self.steps["drop"] = (self.draw.random(shape) < 0.6) / 0.6
        self.traced = {"lstm": "ifgo", "gru": "rzn", "rnn": ["h_new"]}[self.name]
        if self.options.coupled:
            self.traced = "igo"
        self.arriving = self._arriving()

    def weights(self) -> Weights:
        """The weights as they are now."""
        return Weights(**{k: v for k, v in self.inputs.items() if k in Weights._fields})

    def run(self) -> Any:
        """The cell's forward."""
        states = ("h0", "c0") if self.name == "lstm" else ("h0",)
        given = (self.inputs.get(k) for k in states)
        return self.cell.forward(
            self.inputs["x"], *given, self.weights(), self.options, **self.steps
        )

    def loss(self) -> float:
        """The results and the trace, weighted by the gradients that arrive."""
        run, total = self.run(), 0.0
        for name, weight in self.arriving.items():
            total += float((weight * getattr(run, name)).sum())
        return total

    def gradients(self, run: Any) -> Any:
        """The cell's backward."""
        send = self.arriving
        states = ("h_n", "c_n") if self.name == "lstm" else ("h_n",)
        of_trace = {"dc": send["c"]} if self.name == "lstm" else {}
        return self.cell.backward(
            run,
            send["y"],
            *(send[k] for k in states),
            dgates=tuple(send[k] for k in self.traced),
            **of_trace,
        )

    def judge(self) -> None:
        """Every gradient against finite differences; the gradients of what is absent are None."""
        found = self.gradients(self.run())
        expected = {"dh0", "dc0"} & set(found._fields)  # those of a state that was not passed, too
        for name in self.inputs:
            own = NAMES[self.name].get(name, f"d{name}")
            expected.add(own)
            numeric = self._numeric(self.inputs[name])
            assert_close(getattr(found, own), numeric, "gradient", "finite differences", own)
        expected |= {"db"} & set(found._fields) | {"db_ih", "db_hh"} & set(found._fields)
        assert {k for k, v in found._asdict().items() if v is not None} == expected

    def _numeric(self, values: np.ndarray) -> np.ndarray:
        slopes = np.zeros_like(values)
        for k in np.ndindex(values.shape):
            kept = values[k]
            values[k] = kept + STEP
            up = self.loss()
            values[k] = kept - STEP
            slopes[k] = (up - self.loss()) / (2 * STEP)
            values[k] = kept
        return slopes

    def _arriving(self) -> dict[str, np.ndarray]:
        on = steps_that_happen(T, N, self.steps.get("lengths"), self.steps.get("mask"))[..., None]
        normal = self.draw.normal
        found = {"y": normal(size=(T, N, self.R)), "h_n": normal(size=(N, self.R))}
        found |= {k: normal(size=(T, N, H)) * on for k in self.traced}
        if self.name == "lstm":
            found |= {"c_n": normal(size=(N, H)), "c": normal(size=(T, N, H)) * on}
        return found
