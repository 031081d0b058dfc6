"""Networks that ship trained inside Python packages, before and after gatework: the same answers, and the time.

    python -m benchmarks.real_networks [--rounds 15] [--threads 2]

Reads Resemblyzer (speaker encoder), silero-vad (voice activity) and g2p-en (spelling to sounds) where they can be
imported; `make real-networks` fetches the three without what they depend on. Sounds are made here: no corpus is needed.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import NamedTuple

import torch
from torch import Tensor

import gatework
from benchmarks.networks import g2p, resemblyzer, silero
from benchmarks.networks.absent import Absent


class Report(NamedTuple):
    """One network: what was compared, what was done to it, the largest difference, and milliseconds by name."""

    network: str
    compared: str
    done: str
    difference: float
    milliseconds: dict[str, float]


def interleaved(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The median milliseconds of each, one call of every run in each round."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for k in range(rounds + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if k:  # the first round warms up
                times[name].append(1e3 * (time.perf_counter() - start))
    return {name: median(own) for name, own in times.items()}


def apart(a: Tensor, b: Tensor) -> float:
    return float((a.double() - b.double()).abs().max())


def speaker_encoder(rounds: int) -> Report:
    mels = resemblyzer.mels()
    before, after = resemblyzer.load(), resemblyzer.load()
    done = gatework.accelerate(after)
    with torch.no_grad():
        difference = apart(before(mels), after(mels))
        runs = {"torch": lambda: before(mels), "gatework": lambda: after(mels)}
        times = interleaved(runs, rounds)
    what = f"embeddings of {len(mels)} pieces of {mels.shape[1]} frames"
    return Report("Resemblyzer speaker encoder", what, str(done), difference, times)


def voice_activity(rounds: int) -> Report:
    script, sound = silero.load(), silero.sound()
    left = gatework.accelerate(script)
    weights = silero.weights(script)
    with_torch = silero.Stepwise(weights, torch.nn.LSTMCell)
    stepwise = silero.Stepwise(weights, gatework.LSTMCell)
    whole = silero.Whole(weights)
    runs: dict[str, Callable[[], Tensor]] = {
        "TorchScript as shipped": lambda: silero.asked(script, sound),
        "its weights around torch.nn.LSTMCell": lambda: with_torch(sound),
        "its weights around gatework.LSTMCell": lambda: stepwise(sound),
        "its weights around gatework.LSTM, one call": lambda: whole(sound),
    }
    with torch.no_grad():
        first, *others = (run() for run in runs.values())
        times = interleaved(runs, max(3, rounds // 3))
    return Report(
        "Silero voice activity detector",
        f"probabilities of {len(first)} pieces of sound",
        f"{left}\nits weights, read out of the script, in a network written here",
        max(apart(first, other) for other in others),
        times,
    )


def spelling_to_sounds(rounds: int) -> Report:
    shipped, ours = g2p.load(), g2p.with_gatework(g2p.load())
    words = g2p.words()
    with torch.no_grad():
        spoken = [shipped.predict(word) for word in words]
        wrong = sum(ours.predict(w) != s for w, s in zip(words, spoken, strict=True))
        difference = max(g2p.difference(shipped, ours, word) for word in words)
        runs = {
            "NumPy as shipped": lambda: [shipped.predict(word) for word in words[:50]],
            "gatework": lambda: [ours.predict(word) for word in words[:50]],
        }
        times = interleaved(runs, max(3, rounds // 3))
    what = f"states of {len(words)} words; {wrong} are spoken differently"
    done = "its weights in gatework.GRU (encoder) and gatework.GRUCell (decoder)"
    return Report("g2p-en", what, done, difference, times)


EVERY = (speaker_encoder, voice_activity, spelling_to_sounds)


def shown(report: Report) -> str:
    """The report as text; the first time is the yardstick of the others."""
    lines = [report.network]
    lines += [f"  {line}" for line in report.done.splitlines()]
    lines.append(f"  largest difference {report.difference:.1e} in the {report.compared}")
    first = next(iter(report.milliseconds.values()))
    for name, own in report.milliseconds.items():
        lines.append(f"  {own:9.2f} ms  {first / own:5.2f}x  {name}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    gatework.set_num_threads(chosen.threads)
    worst = 0.0
    for each in EVERY:
        try:
            report = each(chosen.rounds)
        except Absent as reason:
            print(f"{each.__name__}: left out, {reason}")
            continue
        print(shown(report), flush=True)
        worst = max(worst, report.difference)
    return int(worst > 1e-5)


if __name__ == "__main__":
    sys.exit(main())
