"""A call of the kernels, described: sizes, options, what is absent; and the options that the tests go through."""

from dataclasses import dataclass, replace
from typing import Any

from gatework.native.activations import kind_of
from gatework.native.options import DEFAULTS, numbers_of
from gatework.native.recurrent import Cell, Options
from gatework.native.weights import gates_of

GATES: dict[Cell, tuple[str, ...]] = {
    "lstm": ("i", "f", "g", "o"),
    "gru": ("r", "z", "n"),
    "rnn": (),
}
STEPS = ("lengths", "mask", "reset")
OUTPUTS = ("h_n", "c_n")
SENT = ("dy", "dh_n", "dc_n", "dgates", "dc")
OF_LSTM = ("c0", "c_n", "dc_n", "dc", "dc0", "bias_c")
INPUT_GRADIENTS = ("dx", "dh0", "dc0")
SIZES = (1, 7, 63, 64, 65)
STEPS_AND_ROWS = ((1, 1), (1, 7), (9, 1), (2, 3), (9, 7), (70, 13), (3, 300))
KINKED = {
    "relu",
    "leaky_relu",
    "thresholded_relu",
    "hard_sigmoid",
    "elu",
    "clipped_sigmoid",
    "clipped_tanh",
}
UNBOUNDED = KINKED - {"hard_sigmoid", "clipped_sigmoid", "clipped_tanh"} | {"affine", "softplus"}


@dataclass(frozen=True)
class Case:
    """Sizes and options of a call; the names in `absent` are null. Options are off unless they are set."""

    T: int
    N: int
    I: int  # noqa: E741
    H: int
    cell: Cell = "lstm"
    P: int = 0
    layout: str = "time"  # or "batch", or "slice": the middle third of a wider last axis
    reverse: bool = False
    threads: int = 1
    absent: frozenset[str] = frozenset()
    idle: bool = False  # lengths and mask leave no step
    activations: tuple[Any, ...] | None = None
    coupled: bool = False
    reset_after: bool = True
    layer_norm: bool = False
    peephole: bool = False
    cell_clip: float | None = None
    zoneout_h: float = 0.0
    zoneout_c: float = 0.0
    candidate_dropout: float = 0.0
    training: bool = False
    drop: str = "none"  # or "rows" [N, R], or "gates" [N, G, R]
    learned_h: bool = False
    learned_c: bool = False
    add_dx: bool = False
    precision: str = "float32"

    def has(self, name: str) -> bool:
        """Whether an array that any such call may have is there."""
        return name not in self.absent and (self.cell == "lstm" or name not in OF_LSTM)

    def words(self, seed: int = 0) -> dict[str, Any]:
        """The options as keywords of the functions on arrays; those of other cells are left out."""
        names = [name for name in DEFAULTS[self.cell] if name not in ("activations", "seed")]
        words = {name: getattr(self, name) for name in names} | {"seed": seed}
        return words if self.activations is None else words | {"activations": self.activations}

    def numbers(self, seed: int = 0) -> Options:
        """The options as the kernels take them."""
        per_gate = self.drop == "gates" and self.cell != "rnn"  # which has one gate
        return numbers_of(self.cell, self.words(seed))._replace(
            drop_per_gate=per_gate, add_dx=self.add_dx
        )

    @property
    def R(self) -> int:
        """Width of h."""
        return self.P or self.H

    @property
    def G(self) -> int:
        """Gates that have weights."""
        return gates_of(self.cell, self.numbers())

    @property
    def traced(self) -> tuple[str, ...]:
        """The gates that are saved, by their slots."""
        return tuple(name for name in GATES[self.cell] if not (self.coupled and name == "f"))

    @property
    def names(self) -> set[str]:
        """Names of the activations."""
        given = self.activations or DEFAULTS[self.cell]["activations"]
        return {each if isinstance(each, str) else each[0] for each in given}

    @property
    def delicate(self) -> bool:
        """Whether rounding may change the answer much."""
        return bool(self.names & KINKED) or self.cell_clip is not None or self.layer_norm


def full(activations: tuple[Any, ...]) -> tuple[Any, ...]:
    """Each activation with its alpha and beta."""
    names = (each if isinstance(each, str) else each[0] for each in activations)
    return tuple((name, *kind_of(each)[1:]) for name, each in zip(names, activations, strict=True))


ACTIVATIONS: dict[Cell, tuple[Any, ...]] = {
    "lstm": (
        None,
        ("hard_sigmoid", "softsign", "tanh"),
        ("sigmoid", ("scaled_tanh", 1.3, 0.7), ("leaky_relu", 0.1)),
        (("hard_sigmoid", 0.25, 0.4), ("elu", 0.8), "softsign"),
        ("softsign", ("thresholded_relu", 0.3), "tanh"),
        (("affine", 0.2, 0.5), "relu", "softsign"),
        ("sigmoid", "softplus", ("affine", 0.5, 0.1)),
    ),
    "gru": (
        None,
        ("hard_sigmoid", "softsign"),
        ("sigmoid", ("scaled_tanh", 1.3, 0.7)),
        (("hard_sigmoid", 0.25, 0.4), "relu"),
        ("softsign", ("leaky_relu", 0.1)),
        ("sigmoid", ("elu", 0.8)),
    ),
    "rnn": (
        None,
        ("relu",),
        ("softsign",),
        (("leaky_relu", 0.1),),
        (("scaled_tanh", 1.3, 0.7),),
        (("hard_sigmoid", 0.25, 0.4),),
    ),
}
CLIPPED: dict[
    Cell, tuple[Any, ...]
] = {  # not in all pairs, where layer norm finds their edges too often
    "lstm": (
        (("clipped_sigmoid", 0.4), ("clipped_tanh", 0.4), "tanh"),
        ("sigmoid", "tanh", ("clipped_tanh", 0.3)),
    ),
    "gru": ((("clipped_sigmoid", 0.4), ("clipped_tanh", 0.4)),),
    "rnn": ((("clipped_tanh", 0.4),),),
}
_OF_ALL: dict[str, tuple[Any, ...]] = {
    "layer_norm": (False, True), "zoneout_h": (0.0, 0.3), "training": (False, True),
    "drop": ("none", "rows", "gates"), "learned_h": (False, True),
}  # fmt: skip
OPTIONS: dict[Cell, dict[str, tuple[Any, ...]]] = {
    "lstm": _OF_ALL | {
        "activations": ACTIVATIONS["lstm"], "P": (0, 3, 7, 33, 64), "coupled": (False, True),
        "peephole": (False, True), "cell_clip": (None, 0.8), "zoneout_c": (0.0, 0.4),
        "candidate_dropout": (0.0, 0.25), "learned_c": (False, True),
    },
    "gru": _OF_ALL | {
        "activations": ACTIVATIONS["gru"], "reset_after": (True, False),
        "candidate_dropout": (0.0, 0.25),
    },
    "rnn": _OF_ALL | {"activations": ACTIVATIONS["rnn"]},
}  # fmt: skip


def flags(cell: Cell) -> tuple[str, ...]:
    """What may be absent in a call of this cell."""
    names = (
        *STEPS,
        "b_ih",
        "b_hh",
        "h0",
        "c0",
        *OUTPUTS,
        *SENT,
        *INPUT_GRADIENTS,
        *of_weights(cell),
    )
    if cell == "rnn":
        names = tuple(name for name in names if name != "dgates")
    return tuple(name for name in (*names, "bias_c") if cell == "lstm" or name not in OF_LSTM)


def of_weights(cell: Cell) -> tuple[str, ...]:
    """Names of the gradients of weights that this cell may have; the bias of the LSTM and of the RNN has one."""
    return {
        "lstm": (
            "dw_ih", "dw_hh", "db_ih", "dw_hr", "dpeephole", "dgain_ih", "dgain_hh", "dgain_c",
            "dbias_c", "dlearned_h", "dlearned_c",
        ),
        "gru": ("dw_ih", "dw_hh", "db_ih", "db_hh", "dgain_ih", "dgain_hh", "dlearned_h"),
        "rnn": ("dw_ih", "dw_hh", "db_ih", "dgain_hh", "dlearned_h"),
    }[cell]  # fmt: skip


def alone(cell: Cell) -> dict[str, dict[str, Any]]:
    """Each value of each option by itself, what random options need in training, and all of them at once."""
    found: dict[str, dict[str, Any]] = {"plain": {}}
    for name, values in OPTIONS[cell].items():
        for value in values[1:]:
            found[f"{name}={value}"] = {name: value}
            if name in ("zoneout_h", "zoneout_c", "candidate_dropout"):
                found[f"{name}={value} training"] = {name: value, "training": True}
    found |= {f"activations={value}": {"activations": value} for value in CLIPPED[cell]}
    if cell == "lstm":
        found["P=1"] = {"P": 1}
        found["P=1, layer_norm"] = {"P": 1, "layer_norm": True}
    everything = {
        name: values[-1] for name, values in OPTIONS[cell].items() if name != "activations"
    }
    found |= {"everything": everything, "everything, eval": everything | {"training": False}}
    return found


def case_of(cell: Cell, options: dict[str, Any]) -> Case:
    """The case of one choice of `OPTIONS`, sizes and flags."""
    T, N = options["TN"]
    absent = frozenset(name for name in flags(cell) if not options[name])
    names = [name for name in Case.__dataclass_fields__ if name in options]
    return replace(
        Case(T, N, options["I"], options["H"], cell, absent=absent),
        **{name: options[name] for name in names if name not in ("I", "H")},
    )


def choices(cell: Cell) -> dict[str, tuple[Any, ...]]:
    """Every option of a call with its values, for all pairs."""
    return {
        "TN": STEPS_AND_ROWS,
        "I": SIZES,
        "H": SIZES,
        "layout": ("time", "batch", "slice"),
        "reverse": (False, True),
        "threads": (1, 3),
        "add_dx": (False, True),
        **OPTIONS[cell],
        **{name: (True, False) for name in flags(cell)},
    }
