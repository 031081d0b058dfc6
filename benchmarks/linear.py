"""Linear heads: gatework's Linear against torch.nn.Linear, forward and training, as a table in Markdown.

    python -m benchmarks.linear [--shapes "560,650,10000"] [--threads 1,2] [--mallocs default,kept] [--rounds 5]

A shape is M,K,V: rows, features in, features out. Agreement with float64 comes first; then both take turns with the
processor's peak in one race, as docs/why/speed.md says. What was found: docs/why/linear.md.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import environment, memory, peak
from benchmarks.bars import NEVER_BEHIND
from benchmarks.race import Race, Timer, race, timed

SHAPES = "560,650,10000;560,400,33278;3200,256,256;64,1024,1024;1,650,10000;1,256,256"
SHARE_OF_WORK = {"forward": 1, "train": 3}
TOLERANCE = 5e-6
HEAD = "| M,K,V | job | threads | malloc | gatework | of peak | torch | of peak | ratio | bar |"


def main() -> int:
    words = _words()
    if words.worker:
        return _worker(words)
    print(f"{HEAD}\n|{' --- |' * (HEAD.count('|') - 1)}", flush=True)
    mallocs = words.mallocs.split(",") if memory.can_keep() else ["default"]
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        library = peak.build(Path(folder))
        for threads in words.threads.split(","):
            for malloc in mallocs:
                failures += _run_setting(words, threads, malloc, library)
    return 1 if failures else 0


def _words() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shapes", default=SHAPES)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--mallocs", default=",".join(memory.MALLOCS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--attempts", type=int, default=8, help="of a disturbed slice")
    parser.add_argument("--slice-seconds", type=float, default=0.15)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    return parser.parse_args()


def _run_setting(words: argparse.Namespace, threads: str, malloc: str, library: Path | None) -> int:
    """Libraries read thread counts and malloc settings when they start, hence a process for each setting."""
    command = [sys.executable, "-m", "benchmarks.linear", "--worker", "--shapes", words.shapes]
    command += ["--threads", threads, "--mallocs", malloc, "--rounds", str(words.rounds)]
    command += ["--attempts", str(words.attempts), "--slice-seconds", str(words.slice_seconds)]
    command += [] if library is None else ["--peak", str(library)]
    variables = environment.thread_variables(int(threads)) | memory.variables(malloc)
    return subprocess.run(command, cwd=environment.ROOT, env={**os.environ, **variables}).returncode


def _worker(words: argparse.Namespace) -> int:
    threads = int(words.threads)
    environment.confine(threads)
    limit = peak.Peak(Path(words.peak), threads) if words.peak else None
    wrong = 0
    peaks: list[float] = []
    for text in words.shapes.split(";"):
        jobs, error = _prepare(*map(int, text.split(",")))
        if not error <= TOLERANCE:
            print(f"{text}: off by {error:.1e} of the largest value, not timed", file=sys.stderr)
            wrong += 1
            continue
        for job, timers in jobs.items():
            peaks += _report(words, text, job, timers, limit)
    if peaks:
        least, most = min(peaks) / 1e9, max(peaks) / 1e9
        setting = f"{threads} threads, {words.mallocs} malloc"
        print(f"{setting}: peak {least:.0f} to {most:.0f} GFLOP/s", file=sys.stderr)
    return 1 if wrong else 0


def _prepare(M: int, K: int, V: int) -> tuple[dict[str, dict[str, Timer]], float]:
    """Timers by job and contender, and gatework's largest error against float64."""
    import torch

    from gatework.layers.linear import Linear

    torch.manual_seed(1)
    theirs = torch.nn.Linear(K, V)
    ours = Linear(K, V)
    ours.load_state_dict(theirs.state_dict())
    x, dy = torch.randn(M, K), torch.randn(M, V)
    recorded = x.clone().requires_grad_()

    def forward(module: torch.nn.Module) -> Callable[[], torch.Tensor]:
        def call() -> torch.Tensor:
            with torch.inference_mode():
                return module(x)

        return call

    def train(module: torch.nn.Module) -> Callable[[], tuple[torch.Tensor, ...]]:
        wanted = [recorded, *module.parameters()]
        return lambda: torch.autograd.grad(module(recorded), wanted, dy)

    found = [forward(ours)(), *train(ours)()]
    with torch.no_grad():
        w, b = theirs.weight.double(), theirs.bias.double()
        back = dy.double()
        exact = [torch.addmm(b, x.double(), w.t()), back @ w, back.t() @ x.double(), back.sum(0)]
    errors = [float((a - e).abs().max() / e.abs().max()) for a, e in zip(found, exact, strict=True)]
    modules = {"gatework": ours, "torch": theirs}
    return {
        "forward": {name: timed(forward(each)) for name, each in modules.items()},
        "train": {name: timed(train(each)) for name, each in modules.items()},
    }, max(errors)


def _report(
    words: argparse.Namespace,
    text: str,
    job: str,
    timers: dict[str, Timer],
    limit: peak.Peak | None,
) -> list[float]:
    """Runs and prints a race, a second time where we were behind; gives the peak in it, where there is one."""
    M, K, V = map(int, text.split(","))
    flops = 2.0 * M * K * V * SHARE_OF_WORK[job]
    racing = dict(timers) if limit is None else {**timers, "peak": limit.timer}
    for again in (False, True):
        found = race(racing, words.rounds, words.slice_seconds, words.attempts)
        ratio = found.timings["torch"].seconds / found.timings["gatework"].seconds
        if ratio >= NEVER_BEHIND or again:
            break
    most = None if limit is None else limit.flops / found.timings["peak"].seconds
    met = "unclear" if found.disturbed else "met" if ratio >= NEVER_BEHIND else "MISSED"
    met += " (2nd run)" if again else ""
    cells = [text, job, words.threads, words.mallocs]
    for name in timers:
        seconds = found.timings[name].seconds
        share = "" if most is None else f"{100 * flops / seconds / most:.0f} %"
        cells += [_time(found, name), share]
    print(f"| {' | '.join([*cells, f'{ratio:.2f}', met])} |", flush=True)
    return [] if most is None else [most]


def _time(found: Race, name: str) -> str:
    median, best, worst = (1e3 * v for v in found.timings[name][:3])
    return f"{median:.3g} ms [{best:.3g}–{worst:.3g}]"


if __name__ == "__main__":
    sys.exit(main())
