"""One step a call: streams of one row against torch's cell and ONNX Runtime, in microseconds, beside the bars.

    python -m benchmarks.stream [--threads 1,2] [--sizes 16,64,128,256,512] [--rounds 15] [--out FILE]

LSTM, I = H, state carried from call to call, calls back to back. "advance": the input is copied into the stream's own
array, the output lies in another; "step": checked, and the output is a copy. Every library has a process of its own,
whose threads sleep while others are timed; contenders take turns: a slice is some thousand steps timed together, a time
the median of its slices. Agreement over 20 steps comes first.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from benchmarks import environment, noise

BARS = {
    1: {16: 0.8, 64: 1.2, 128: 3.2, 256: 20.0, 512: 70.0},
    2: {256: 12.0, 512: 45.0},
}
PRECISIONS = ("float32", "bfloat16", "bfloat16_weights", "int8_weights")
HALF = 0.5  # of the float32 bar, for the weights in fewer bits
SLICE = 0.02  # seconds
TOLERANCE = 1e-5
Step = Callable[[], Any]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--sizes", default="16,64,128,256,512")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--worker", nargs=3, metavar=("LIBRARY", "H", "THREADS"), help=argparse.SUPPRESS)  # fmt: skip
    words = parser.parse_args()
    if words.worker:
        library, H, threads = words.worker
        return _work(library, int(H), int(threads))
    print("| H | threads | contender | us a step | best to worst | bar | verdict |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    cases = [(int(H), int(n)) for n in words.threads.split(",") for H in words.sizes.split(",")]
    found = [row for H, threads in cases for row in _raced(H, threads, words.rounds)]
    if words.out:
        words.out.parent.mkdir(parents=True, exist_ok=True)
        place = environment.describe([])
        words.out.write_text(json.dumps({"environment": place, "found": found}, indent=1) + "\n")
    return 0


class _Library:
    """A library's process: it says who is there and what they answer, then times a slice of whoever is named."""

    def __init__(self, name: str, H: int, threads: int):
        variables = {**os.environ, **environment.thread_variables(threads)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.stream", "--worker", name, str(H), str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=environment.ROOT, env=variables,
        )  # fmt: skip
        self.outputs: dict[str, list[float]] = self._reply()

    def slice(self, who: str) -> float:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{who}\n")
        self._process.stdin.flush()
        return float(self._reply())

    def _reply(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a process ended with {self._process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        self._process.communicate()


def _raced(H: int, threads: int, rounds: int) -> list[dict[str, Any]]:
    libraries = [_Library(name, H, threads) for name in LIBRARIES]
    try:
        _agree({who: each for library in libraries for who, each in library.outputs.items()})
        times: dict[str, list[float]] = {who: [] for each in libraries for who in each.outputs}
        for _ in range(rounds):
            for library in libraries:
                for who in library.outputs:
                    times[who].append(library.slice(who))
    finally:
        for library in libraries:
            library.close()
    rows = [_row(H, threads, who, each) for who, each in times.items()]
    for row in rows:
        _print(row)
    return rows


def _print(row: dict[str, Any]) -> None:
    limit = row["bar"]
    verdict = "" if limit is None else "met" if row["median"] <= limit else "MISSED"
    print(
        f"| {row['H']} | {row['threads']} | {row['who']} | {row['median']:.2f} "
        f"| {row['best']:.2f} to {row['worst']:.2f} | {'' if limit is None else limit} | {verdict} |",
        flush=True,
    )


def _work(library: str, H: int, threads: int) -> int:
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no reply
    environment.confine(threads)
    draw = np.random.default_rng(0)
    bound = 1 / np.sqrt(H)
    shapes = ((4 * H, H), (4 * H, H), (4 * H,), (4 * H,))
    weights = tuple(draw.uniform(-bound, bound, shape).astype(np.float32) for shape in shapes)
    x = draw.standard_normal((1, H)).astype(np.float32)
    contenders = LIBRARIES[library](weights, x, threads)
    outputs = {who: _after(20, step, output) for who, (step, output) in contenders.items()}
    counts = {who: _count(step) for who, (step, _) in contenders.items()}
    _say(replies, outputs)
    for line in sys.stdin:
        who = line.strip()
        _say(replies, _slice(contenders[who][0], counts[who]))
    return 0


def _say(replies: TextIO, value: Any) -> None:
    noise.rest()  # so that no thread of ours spins into the next one's time
    replies.write(json.dumps(value) + "\n")
    replies.flush()


def _after(steps: int, step: Step, output: Callable[[], Any]) -> list[float]:
    for _ in range(steps):
        step()
    return [float(v) for v in np.asarray(output()).reshape(-1)]


def _row(H: int, threads: int, who: str, times: list[float]) -> dict[str, Any]:
    bar = BARS.get(threads, {}).get(H)
    ours, _, kind = who.partition(" advance")
    limit = bar if bar is None or who == "gatework advance" else bar * HALF if kind else None
    return {
        "H": H, "threads": threads, "who": who, "bar": limit if ours == "gatework" else None,
        "median": statistics.median(times), "best": min(times), "worst": max(times),
    }  # fmt: skip


def _count(step: Step) -> int:
    return max(20, int(SLICE / (_slice(step, 20) * 1e-6)))


def _slice(step: Step, count: int) -> float:
    for _ in range(min(count, 50)):
        step()
    start = time.perf_counter()
    for _ in range(count):
        step()
    return (time.perf_counter() - start) / count * 1e6


def _agree(outputs: dict[str, list[float]]) -> None:
    """All have the same output after as many steps, or nothing is timed."""
    expected = np.asarray(outputs["gatework advance"])
    for who, found in outputs.items():
        exact = not any(word in who for word in PRECISIONS[1:])
        apart = float(np.abs(np.asarray(found) - expected).max())
        if apart > (TOLERANCE if exact else 0.05):
            raise SystemExit(f"{who} differs by {apart:.1e}, not timed")


def _ours(weights: Any, x: Any, threads: int) -> dict[str, Any]:
    from gatework.native import LSTMStream

    def advance(precision: str) -> Any:
        stream = LSTMStream(weights, 1, threads, precision=precision)
        own, go = stream.x, stream.advance

        def step() -> None:
            own[...] = x
            go()

        return step, lambda: stream.y

    stream = LSTMStream(weights, 1, threads)
    found = {"gatework advance": advance("float32")}
    found |= {f"gatework advance, {each}": advance(each) for each in PRECISIONS[1:]}
    return {**found, "gatework step": (lambda: stream.step(x), lambda: stream.y)}


def _torchs(weights: Any, x: Any, threads: int) -> dict[str, Any]:
    import torch

    torch.set_num_threads(threads)
    H = x.shape[1]
    cell = torch.nn.LSTMCell(H, H)
    with torch.no_grad():
        for parameter, value in zip(cell.parameters(), weights, strict=True):
            parameter.copy_(torch.from_numpy(value))
    given, state = torch.from_numpy(x), [torch.zeros(1, H), torch.zeros(1, H)]

    def step() -> None:
        with torch.inference_mode():
            state[:] = cell(given, (state[0], state[1]))

    return {"torch, LSTMCell": (step, lambda: state[0].numpy())}


def _onnx(weights: Any, x: Any, threads: int) -> dict[str, Any]:
    try:
        import onnxruntime

        from gatework.weights import Direction, Stack, Weights, to_onnx
    except ImportError as error:
        print(f"onnxruntime is left out: {error}", file=sys.stderr)
        return {}
    model = to_onnx(Stack("lstm", ((Direction(Weights(*weights)),),)), states=True).result
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = ("x", "h0", "c0")
    given, state = x[None], [np.zeros((1, 1, x.shape[1]), np.float32)] * 2
    last: list[Any] = [None]

    def step() -> None:
        last[0], *state[:] = session.run(None, dict(zip(names, (given, *state), strict=True)))

    return {"onnxruntime": (step, lambda: last[0])}


LIBRARIES = {"gatework": _ours, "torch": _torchs, "onnxruntime": _onnx}

if __name__ == "__main__":
    sys.exit(main())
