"""The commands and their words; what they call stands in the other files of this room."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

import gatework
from gatework.cli.ending import ended
from gatework.cli.flags import with_flags
from gatework.cli.jobs import JOBS, Job

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="A trained folder.")]
Data = Annotated[
    str, typer.Argument(metavar="DATA", help="A CSV or Parquet file, or a name of `data list`.")
]
Out = Annotated[Path | None, typer.Option(metavar="FOLDER", help="Where the model goes.")]
Threads = Annotated[
    int | None, typer.Option(metavar="INTEGER", min=1, help="Processor threads to compute with.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is in the folder.")]
Everything = Annotated[
    bool,
    typer.Option("--everything", help="Judge on all rows, also on those that were trained on."),
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue a run that was broken off.")]


def build() -> typer.Typer:
    """The application: every command with its words."""
    app = _group(
        "Long short-term memory networks: from a table of measurements to a judged forecast."
    )
    app.callback()(_top)
    app.command()(ended(demo))
    train = _group("Train a model on a table of your own.")
    for name, job in JOBS.items():
        train.command(name, help=job.help)(ended(_train_command(job)))
    train.callback()(_nothing)
    app.add_typer(train, name="train")
    app.command()(ended(predict))
    app.command()(ended(score))
    app.command()(ended(look))
    app.command()(ended(export))
    data = _group("Named public data sets.")
    data.command("list")(ended(list_data))
    data.command("get")(ended(get_data))
    app.add_typer(data, name="data")
    return app


def _group(sentence: str) -> typer.Typer:
    """A group of commands in plain text: it starts at once, and reads the same in a file as on a terminal."""
    return typer.Typer(
        help=sentence,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )


def _print_version(asked: bool) -> None:
    if asked:
        print(f"gatework {gatework.__version__}")
        raise typer.Exit


def _top(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Take the flags that stand before a command."""


def _nothing() -> None:
    """Keeps `train` a group where there is but one task."""


def demo(
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the model goes.")] = Path(
        "gatework-demo"
    ),
    seed: Annotated[int, typer.Option(metavar="INTEGER", min=0, help="Seed of the run.")] = 0,
    threads: Threads = None,
) -> None:
    """Train on the shipped weekly CO2 record, judge against baselines, and write a report."""
    from gatework.cli.training import run_demo

    run_demo(out, seed=seed, threads=threads)


def _train_command(job: Job) -> Callable[..., None]:
    def train(
        data: Data,
        out: Out = None,
        overwrite: Overwrite = False,
        resume: Resume = False,
        threads: Threads = None,
        options: dict[str, object] | None = None,
    ) -> None:
        from gatework.cli.training import run_training

        run_training(
            job, data, out, options or {}, overwrite=overwrite, resume=resume, threads=threads
        )

    return with_flags(train, job.infos())


def predict(
    folder: Folder,
    data: Data,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A .csv or .parquet file to write.")
    ] = None,
    threads: Threads = None,
) -> None:
    """Forecast what follows a table; prints CSV, or an aligned table on a terminal."""
    from gatework.cli.answering import run_predict

    run_predict(folder, data, out, threads=threads)


def score(
    folder: Folder, data: Data, everything: Everything = False, threads: Threads = None
) -> None:
    """Judge a trained folder on a table, beside the baselines."""
    from gatework.cli.answering import run_score

    run_score(folder, data, everything=everything, threads=threads)


def look(folder: Folder) -> None:
    """Write the report of a trained folder anew."""
    from gatework.look import report

    print(report(folder))


def export(
    source: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A trained folder, or a layer's .safetensors.")
    ],
    to: Annotated[str, typer.Option(metavar="FORM", help="The form: onnx.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The file to write, by default FOLDER.onnx.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file if it is there.")
    ] = False,
) -> None:
    """Write a model in the form of another framework, and compare its answers."""
    from gatework.cli.exporting import run_export

    run_export(source, to, out, overwrite=overwrite)


def list_data() -> None:
    """List the sets by name, with size, licence, and where each lies."""
    from gatework.cli.datasets import listing

    print(listing())


def get_data(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name of `data list`.")],
) -> None:
    """Fetch a set if it is not here yet, check it, and print its path."""
    from gatework.data import catalogue

    print(catalogue.get(name))
