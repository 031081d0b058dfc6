"""One word through the house: file, class, command, recipes, tests and page of a task carry the same name."""

import inspect
from pathlib import Path

import pytest

import gatework
from gatework.cli.jobs import JOBS
from tests.contracts.tree import ROOT, SOURCE

WORDS = sorted(JOBS)
CELLS = ["lstm", "gru", "rnn"]


def stems(folder: Path, pattern: str) -> set[str]:
    return {path.stem for path in folder.glob(pattern)}


def test_there_is_a_task():
    assert "forecast" in WORDS


@pytest.mark.parametrize("word", WORDS)
def test_a_task_has_its_file_class_recipe_test_and_page(word: str):
    module = f"gatework.tasks.{word}"
    classes = [getattr(gatework, name) for name in gatework.__all__]
    own = [each for each in classes if inspect.isclass(each) and each.__module__ == module]
    assert len(own) == 1, f"gatework exports one estimator of {module}"
    assert own[0].__name__.lower().startswith(word)
    assert (SOURCE / "tasks" / f"{word}.py").is_file()
    assert list((SOURCE / "recipes").glob(f"{word}_*.toml"))
    assert (ROOT / "tests" / "tasks" / f"test_{word}.py").is_file()
    assert (ROOT / "docs" / "api" / "tasks" / f"{word}.md").is_file()


def test_no_page_recipe_or_test_is_left_of_a_task_that_does_not_exist():
    assert stems(ROOT / "docs" / "api" / "tasks", "*.md") == set(WORDS)
    assert {stem.split("_")[0] for stem in stems(SOURCE / "recipes", "*.toml")} == set(WORDS)


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_has_its_file_on_every_floor(cell: str):
    for place in (
        SOURCE / "reference" / f"{cell}.py",
        SOURCE / "layers" / f"{cell}.py",
        SOURCE / "ops" / f"{cell}.py",
        SOURCE / "native" / f"{cell}.py",
        ROOT / "kernels" / "include" / "gatework" / f"{cell}.h",
        ROOT / "kernels" / "src" / f"{cell}_cell.h",
        ROOT / "tests" / "reference" / f"test_{cell}.py",
        ROOT / "tests" / "ops" / f"test_{cell}.py",
        ROOT / "tests" / "layers" / f"test_{cell}.py",
    ):
        assert place.is_file(), f"{place.relative_to(ROOT)} is missing"
    assert stems(ROOT / "tests" / "native", f"test_{cell}*.py")
