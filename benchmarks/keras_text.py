"""The classic Keras text model: gatework.keras.LSTM against Keras's own layer on torch, TensorFlow and JAX.

    python -m benchmarks.keras_text [--rounds 7] [--hosts torch,tensorflow,jax] [--out FILE]

Batch 64, 50 steps, 5,000 words: Embedding, LSTM(64), Dense, Dropout, softmax, adam. Timed are forward and backward of
the layer alone (on the torch backend) and a whole training step, without and with masks and recurrent dropout. All
contenders take turns (docs/why/speed.md); agreement of the layers comes first. "no LSTM" is the step with the mean over
time in its place: what Keras's own trainer takes.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import environment
from benchmarks.race import Local, Pace, Race, Slice, Timer, compete, timed

N, T, WORDS, EMBEDDED, UNITS = 64, 50, 5000, 100, 64
KINDS = ("plain", "masked", "masked, recurrent dropout")
WHO = {
    "torch": ("gatework", "keras, torch", "no LSTM"),
    "tensorflow": ("keras, tensorflow",),
    "jax": ("keras, jax",),
}
BARS = (
    ("layer", "keras, torch", 10.0),
    ("step", "keras, torch", 3.0),
    ("step", "keras, tensorflow", 1.0),
)
TOLERANCE = 1e-5


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--hosts", default=",".join(WHO))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--worker", choices=WHO, help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.worker:
        return _work(words.worker)
    return _race(words)


class _Host:
    """A backend's process; a lane is a contender's job in it."""

    def __init__(self, name: str, threads: int):
        variables = {"KERAS_BACKEND": name, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.keras_text", "--worker", name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=environment.ROOT,
            env={**os.environ, **environment.thread_variables(threads), **variables},
        )  # fmt: skip

    def ask(self, **words: Any) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a process ended with {self._process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        self._process.communicate()


class _Lane:
    def __init__(self, host: _Host, words: Mapping[str, str]):
        self._host, self._words = host, words

    def once(self) -> float:
        return float(self._host.ask(task="once", **self._words))

    def slice(self, calls: int, warm: bool) -> Slice:
        return Slice(*self._host.ask(task="slice", calls=calls, warm=warm, **self._words))


def _race(words: argparse.Namespace) -> int:
    hosts = {name: _Host(name, words.threads) for name in words.hosts.split(",")}
    found: list[dict[str, Any]] = []
    print(
        "| kind | job | contender | ms | best to worst | its time to ours |\n| --- | --- | --- | --- | --- | --- |"
    )
    try:
        for kind in KINDS:
            error = hosts["torch"].ask(task="error", kind=kind)
            if not error <= TOLERANCE:
                print(
                    f"{kind}: the layers differ by {error:.1e} of the largest value, not timed",
                    file=sys.stderr,
                )
                return 1
            for job in ("layer", "step"):
                lanes = {
                    who: _Lane(host, {"kind": kind, "job": job, "who": who})
                    for name, host in hosts.items()
                    for who in WHO[name]
                    if job == "step" or who in ("gatework", "keras, torch")
                }
                race = compete(lanes, Pace(words.rounds, 0.3, 4, 20.0, 10.0))
                found += _report(kind, job, race)
    finally:
        for host in hosts.values():
            host.close()
    if words.out:
        place = environment.describe([])
        words.out.parent.mkdir(parents=True, exist_ok=True)
        words.out.write_text(
            json.dumps({"environment": place, "found": found}, indent=1) + "\n", encoding="utf-8"
        )
    return 0


def _report(kind: str, job: str, race: Race) -> list[dict[str, Any]]:
    ours = race.timings["gatework"].seconds
    rows = []
    for who, timing in race.timings.items():
        ratio = timing.seconds / ours
        limit = next((bar for bar_job, other, bar in BARS if (bar_job, other) == (job, who)), None)
        verdict = "" if limit is None else f" ({'met' if ratio >= limit else 'MISSED'}: {limit:g})"
        print(
            f"| {kind} | {job} | {who} | {timing.seconds * 1e3:.2f} "
            f"| {timing.best * 1e3:.2f} to {timing.worst * 1e3:.2f} | {ratio:.2f}{verdict} |",
            flush=True,
        )
        rows.append(
            {
                "kind": kind,
                "job": job,
                "who": who,
                "seconds": timing.seconds,
                "ratio": ratio,
                "bar": limit,
            }
        )
    return rows


def _work(backend: str) -> int:
    """Answers one line with one line."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no reply
    environment.confine(environment.threads())
    lanes: dict[tuple[str, str, str], Local] = {}
    for line in sys.stdin:
        words = json.loads(line)
        task, key = words.pop("task"), (words["kind"], words.get("job", ""), words.get("who", ""))
        if task == "error":
            reply: Any = _error(words["kind"])
        else:
            if key not in lanes:
                lanes[key] = Local(_timers(backend, key[0], key[2])[key[1]])
            lane = lanes[key]
            reply = lane.once() if task == "once" else [*lane.slice(words["calls"], words["warm"])]
        replies.write(json.dumps(reply) + "\n")
        replies.flush()
    return 0


def _layer(kind: str, who: str) -> Any:
    import keras

    rates = {"dropout": 0.1, "recurrent_dropout": 0.1} if kind.endswith("dropout") else {}
    if who == "gatework":
        import gatework.keras

        return gatework.keras.LSTM(UNITS, **rates)
    return (
        keras.layers.GlobalAveragePooling1D()
        if who == "no LSTM"
        else keras.layers.LSTM(UNITS, **rates)
    )


def _timers(backend: str, kind: str, who: str) -> dict[str, Timer]:
    timers = {"step": timed(_step(kind, who))}
    if backend == "torch" and who != "no LSTM":
        timers["layer"] = timed(_forward_and_backward(kind, who))
    return timers


def _step(kind: str, who: str) -> Callable[[], object]:
    """A training step of the whole model, as Keras's trainer makes it."""
    import keras
    import numpy as np

    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((T,), dtype="int32"),
            keras.layers.Embedding(WORDS, EMBEDDED, mask_zero=kind != "plain"),
            _layer(kind, who),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(WORDS, activation="softmax"),
        ]
    )
    model.compile("adam", "categorical_crossentropy")
    words, target = _text()
    one_hot = np.eye(WORDS, dtype=np.float32)[target]
    return lambda: model.train_on_batch(words, one_hot)


def _text() -> tuple[Any, Any]:
    """Word numbers [N, T], padded on the left with 0 to a fifth of them, and the next word [N]."""
    import numpy as np

    draw = np.random.default_rng(1)
    words = draw.integers(1, WORDS, (N, T), dtype=np.int32)
    words[np.arange(T) < draw.integers(0, 2 * T // 5, N)[:, None]] = 0
    return words, draw.integers(1, WORDS, N)


def _forward_and_backward(kind: str, who: str) -> Callable[[], object]:
    import torch

    layer, x, call = _ready(kind, who)
    wanted = [x, *(each.value for each in layer.trainable_variables)]
    dy = torch.ones(N, UNITS)
    return lambda: torch.autograd.grad(layer(x, training=True, **call), wanted, dy)


def _ready(kind: str, who: str) -> tuple[Any, Any, dict[str, Any]]:
    import keras
    import torch

    keras.utils.set_random_seed(1)
    layer = _layer(kind, who)
    x = torch.randn(N, T, EMBEDDED).requires_grad_()
    layer.build(x.shape)
    return layer, x, {} if kind == "plain" else {"mask": torch.from_numpy(_text()[0] != 0)}


def _error(kind: str) -> float:
    """The largest difference of our layer from Keras's, outputs and gradients, relative to the largest magnitude."""
    import torch

    found = []
    for who in ("gatework", "keras, torch"):
        layer, x, call = _ready(kind, who)
        weights = [each.value for each in layer.trainable_variables]
        y = layer(x, training=True, **call)
        found.append([y, *torch.autograd.grad(y.square().sum(), [x, *weights])])
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(*found, strict=True))


if __name__ == "__main__":
    sys.exit(main())
