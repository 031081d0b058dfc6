"""The process of one library under one setting (threads, malloc): it prepares contenders and runs slices when asked.

`benchmarks.hosts` starts it. One JSON object a line comes in and one goes out; between two of them it sleeps, so that
whoever is measured meanwhile has the processors to itself.
"""

import argparse
import contextlib
import gc
import json
import os
import sys
from pathlib import Path
from typing import Any, TextIO

from benchmarks import agreement, environment, noise
from benchmarks.agreement import Disagreement
from benchmarks.bars import OURS
from benchmarks.cases import Case, Shape
from benchmarks.contenders import FIRST, HOSTS, Prepared, present
from benchmarks.peak import Peak
from benchmarks.race import Local

PEAK = "peak"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("host", choices=HOSTS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--peak", type=Path)
    words = parser.parse_args()
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no reply
    environment.confine(environment.threads())
    worker = Worker(words.host, words.folder, words.peak)
    for line in sys.stdin:
        _reply(worker, json.loads(line), replies)


def _reply(worker: "Worker", message: dict[str, Any], replies: TextIO) -> None:
    task = getattr(worker, f"do_{message.pop('task')}")
    try:
        reply = {"found": task(**message)}
    except Exception as error:  # a library that fails is a result, and its process goes on
        reply = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:300]}
    noise.rest()  # so that no thread of ours spins into the next one's time
    replies.write(json.dumps(reply) + "\n")
    replies.flush()


class Worker:
    """The contenders of one library; every `do_` is a task."""

    def __init__(self, host: str, folder: Path, peak: Path | None):
        self._host, self._folder = host, folder
        self._peak = None if peak is None else Peak(peak, environment.threads())
        self._modules, self._absent = present(HOSTS[host])
        self._ready: dict[str, Prepared] = {}
        self._lanes: dict[tuple[str, str], Local] = {}

    def do_hello(self) -> dict[str, Any]:
        """Where it runs, the versions, and who is absent."""
        versions = [module.version() for module in self._modules]
        return {"environment": environment.describe(versions), "absent": self._absent}

    def do_prepare(self, shape: list[int], kind: str, seed: int) -> dict[str, Any]:
        """Gets the contenders of a case ready; the ones that do not agree are named and left out."""
        gc.enable()
        case = Case(Shape(*shape), kind, seed)
        self._ready, self._lanes = {}, {}
        found: dict[str, Any] = {"ready": {}, "disagree": [], "broken": {}}
        for module in self._modules:
            for name in module.names(case):
                try:
                    prepared = module.prepare(case, name)
                    errors = agreement.check(name, prepared, self._expected(case, name, prepared))
                except Disagreement as error:
                    found["disagree"].append(str(error))
                except Exception as error:  # of somebody's library: the others still race
                    if name.startswith(OURS):
                        raise
                    found["broken"][name] = f"{type(error).__name__}: {error}".splitlines()[0][:300]
                else:
                    self._ready[name] = prepared
                    found["ready"][name] = self._described(case, prepared, errors)
        if self._peak is not None:
            self._lanes[PEAK, ""] = Local(self._peak.timer)
            found["peak_flops"] = self._peak.flops
        gc.collect()
        gc.disable()  # until the next case: it would fall on somebody's time
        return found

    def do_once(self, name: str, job: str) -> float:
        """Seconds of a call, roughly."""
        return self._lane(name, job).once()

    def do_slice(self, name: str, job: str, calls: int, warm: bool) -> list[Any]:
        """The fields of a `race.Slice`."""
        return [*self._lane(name, job).slice(calls, warm)]

    def _lane(self, name: str, job: str) -> Local:
        job = "" if name == PEAK else job
        if (name, job) not in self._lanes:
            ready = self._ready[name]
            self._lanes[name, job] = Local(ready.timers[job], ready.around)
        return self._lanes[name, job]

    def _expected(self, case: Case, name: str, prepared: Prepared) -> dict[str, Any]:
        own = prepared.judge
        label = "".join(c if c.isalnum() else "-" for c in f"{case.kind} {name if own else ''}")
        path = self._folder / f"{case.shape}-{label}.npz"
        if own is None and self._host != FIRST and not path.exists():
            raise Disagreement(f"{name}: nobody judged this case")
        return agreement.kept(path, own or (lambda: agreement.judge(case)))

    @staticmethod
    def _described(case: Case, prepared: Prepared, errors: dict[str, float]) -> dict[str, Any]:
        return {
            "jobs": list(prepared.timers),
            "errors": errors,
            "path": prepared.path,
            "flops": case.flops("forward") if prepared.flops is None else prepared.flops,
        }


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
