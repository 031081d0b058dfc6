"""`gatework train TASK DATA` and `gatework demo`: fit, write the report, print scores and baselines."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gatework.cli.jobs import JOBS, Job
from gatework.cli.source import name_of
from gatework.cli.terminal import bold, table
from gatework.errors import OptionError
from gatework.options import read_toml

DEMO = "forecast_co2"
OURS = ("options.toml", "*.safetensors", "history.csv", "score.json", "report.*", "checkpoints")


def run_training(
    job: Job,
    data: str,
    out: Path | None,
    options: dict[str, Any],
    *,
    overwrite: bool = False,
    resume: bool = False,
    threads: int | None = None,
) -> None:
    """Fit the task's estimator on `data` into a folder, write its report and print its scores."""
    begun = time.perf_counter()
    name = name_of(data)
    folder = out or Path("runs") / f"{job.name}-{name}"
    refuse_loss(folder, overwrite=overwrite, resume=resume)
    done = (folder / "options.toml").exists() and not (folder / "checkpoints").is_dir()
    set_threads(threads)
    model = job.make(options)
    with moved_aside(folder, wanted=overwrite and not resume):
        model.fit(data, folder=folder, resume=resume, progress=True)
        print_result(folder, begun)
    if resume and done:
        print("This run was finished before: nothing was trained, and the data was not looked at.")
    if model.history_.interrupted:
        print("Interrupted: this is the best model until then; --resume goes on with the training.")


def run_demo(folder: Path, *, seed: int, threads: int | None = None) -> None:
    """Train the recipe `DEMO` on the shipped data; what an earlier demo left in the folder is replaced."""
    recipe = read_toml(Path(__file__).parents[1] / "recipes" / f"{DEMO}.toml")
    print(recipe["title"].partition(":")[0])
    job, options = JOBS[recipe["task"]], {**recipe["options"], "seed": seed}
    run_training(job, recipe["data"], folder, options, overwrite=True, threads=threads)


def print_result(folder: Path, begun: float) -> None:
    """Write the report and print what came out: scores, headline, time, and where the report is."""
    from gatework.look import report
    from gatework.look.reading import read_facts
    from gatework.look.wording import duration

    page = report(folder)
    facts = read_facts(folder)
    print(f"\n{score_table(facts.scores)}\n")
    if facts.headline:
        print(bold(facts.headline))
    print(f"Total time: {duration(time.perf_counter() - begun)}")
    print(f"Model:      {folder}")
    print(f"Report:     {page}")


def score_table(scores: list[dict[str, Any]]) -> str:
    """The scores as aligned text, the best of each column in bold."""
    from gatework.look.scores import columns_of

    columns = columns_of(scores)
    rows = [
        [str(score["name"]), *(column.texts[place] for column in columns)]
        for place, score in enumerate(scores)
    ]
    strong = [
        (row, place + 1)
        for place, column in enumerate(columns)
        for row, best in enumerate(column.best)
        if best
    ]
    heading = ["", *(column.label for column in columns)]
    return table(heading, rows, right=range(1, len(heading)), strong=strong)


def refuse_loss(folder: Path, *, overwrite: bool, resume: bool) -> None:
    """Refuse a folder in which something would be lost that nobody gave up.

    Raises:
        OptionError: it holds a trained model, a run that was broken off, or files that are not ours.
    """
    if folder.exists() and not folder.is_dir():
        raise OptionError(f"--out {folder} is a file, expected a folder")
    if overwrite and resume:
        raise OptionError("--overwrite begins anew and --resume goes on; give one of them")
    if resume or not folder.exists() or not any(folder.iterdir()):
        return
    finished = (folder / "options.toml").exists()
    begun = (folder / "checkpoints").is_dir()
    if not finished and not begun:
        raise OptionError(f"--out {folder} holds other files; name a new or empty folder")
    if not overwrite:
        what = "a run that was broken off" if begun else "a trained model"
        repair = "continue it with --resume, " if begun else ""
        raise OptionError(
            f"{folder} holds {what}; {repair}replace it with --overwrite, or name another --out"
        )


@contextmanager
def moved_aside(folder: Path, *, wanted: bool) -> Generator[None, None, None]:
    """What a folder holds of ours lies aside meanwhile; it comes back when the body fails, else it goes."""
    names = [path.name for pattern in OURS for path in folder.glob(pattern)] if wanted else []
    if not names:
        yield
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.resolve().parent))
    try:
        for name in names:
            os.replace(folder / name, aside / name)
        yield
    except BaseException:
        _remove(folder, [path.name for pattern in OURS for path in folder.glob(pattern)])
        for name in names:
            if (aside / name).exists():
                os.replace(aside / name, folder / name)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _remove(folder: Path, names: list[str]) -> None:
    for name in names:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def set_threads(threads: int | None) -> None:
    """Compute with `threads` threads, in our kernels and in torch; None leaves both as they are."""
    if threads is None:
        return
    import torch

    import gatework

    gatework.set_num_threads(threads)
    torch.set_num_threads(threads)
