"""The processes of the libraries, seen from the one that arranges the race; each contender is a lane in one of them."""

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import environment, memory
from benchmarks.contenders import FIRST
from benchmarks.race import Slice

_PATIENCE = {
    "hello": 120.0,
    "prepare": 600.0,
    "once": 300.0,
    "slice": 600.0,
    "close": 10.0,
}  # seconds
_QUIET = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "JAX_PLATFORMS": "cpu",
    "CUDA_VISIBLE_DEVICES": "",
    "TORCHINDUCTOR_COMPILE_THREADS": "1",
}


class HostError(Exception):
    """A library's process ended or kept us waiting; it can't be asked again. `host`: whose."""

    def __init__(self, host: str, reason: str):
        super().__init__(f"{host}: {reason}")
        self.host = host


class TaskError(HostError):
    """A task failed; its process can be asked again."""


class Host:
    """One library's process."""

    def __init__(self, name: str, threads: int, malloc: str, folder: Path, peak: Path | None):
        self.name = name
        self._log = folder / f"{name}.log"
        command = [sys.executable, "-m", "benchmarks.worker", name, str(folder)]
        command += ["--peak", str(peak)] if peak is not None and name == FIRST else []
        variables = environment.thread_variables(threads) | memory.variables(malloc) | _QUIET
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=environment.ROOT,
                env={**os.environ, **variables},
            )

    def ask(self, task: str, **words: Any) -> Any:
        """The reply to a task.

        Raises:
            HostError: there is none. TaskError: it says that the task failed.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        try:
            stdin.write(json.dumps({"task": task, **words}) + "\n")
            stdin.flush()
        except BrokenPipeError as error:
            raise HostError(self.name, self._ended()) from error
        if not select.select([stdout], [], [], _PATIENCE[task])[0]:
            self._process.kill()
            raise HostError(self.name, f"no reply to {task} in {_PATIENCE[task]:.0f} seconds")
        line = stdout.readline()  # exactly one line per task, so nothing waits in the buffer
        if not line:
            raise HostError(self.name, self._ended())
        reply = json.loads(line)
        if "error" in reply:
            raise TaskError(self.name, reply["error"])
        return reply["found"]

    def close(self) -> None:
        """Ends the process: it goes when its input ends, or else is made to."""
        try:
            self._process.communicate(timeout=_PATIENCE["close"])
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def _ended(self) -> str:
        code = self._process.wait()
        said = self._log.read_text(errors="replace").strip().splitlines()[-1:]
        return f"ended with {code}{': ' if said else ''}{''.join(said)}"


class Remote:
    """A contender's job in a host's process, as a lane of a race."""

    def __init__(self, host: Host, name: str, job: str):
        self._host, self._name, self._job = host, name, job

    @property
    def host(self) -> str:
        """The library's name."""
        return self._host.name

    def once(self) -> float:
        """See `race.Lane`."""
        return float(self._host.ask("once", name=self._name, job=self._job))

    def slice(self, calls: int, warm: bool) -> Slice:
        """See `race.Lane`."""
        found = self._host.ask("slice", name=self._name, job=self._job, calls=calls, warm=warm)
        return Slice(*found)


def start(
    names: Iterable[str], threads: int, malloc: str, folder: Path, peak: Path | None
) -> tuple[dict[str, Host], dict[str, Any], Mapping[str, str]]:
    """The hosts that answer, each with what it said to hello, and why the others are absent.

    Raises:
        HostError: the first one, which judges, is among those.
    """
    hosts = {name: Host(name, threads, malloc, folder, peak) for name in names}
    hellos: dict[str, Any] = {}
    absent: dict[str, str] = {}
    for name, host in list(hosts.items()):
        try:
            hellos[name] = host.ask("hello")
        except HostError as error:
            if name == FIRST:
                stop(hosts.values())
                raise
            absent[name] = str(error)
            del hosts[name]
            host.close()
            continue
        absent |= hellos[name]["absent"]
        if not hellos[name]["environment"]["versions"]:  # its library is not installed
            del hosts[name]
            host.close()
    return hosts, hellos, absent


def stop(hosts: Iterable[Host]) -> None:
    """Ends all of them."""
    for host in hosts:
        host.close()
