"""What is public says what it is: a sentence, every argument by name, an example that runs and is short."""

import doctest
import importlib
import inspect
import re
import warnings
from pathlib import Path
from typing import Any

import pytest

import gatework
from tests.contracts.tree import SOURCE, python_files, short

ROOMS = [
    "",
    "data",
    "layers",
    "look",
    "metrics",
    "native",
    "options",
    "reference",
    "runtime",
    "tasks",
    "train",
    "weights",
]
LONGEST_EXAMPLE = 6


def public_names() -> list[tuple[str, Any]]:
    """Every class and function that a room shows, once."""
    found: dict[int, tuple[str, Any]] = {}
    for room in ROOMS:
        module = importlib.import_module(f"gatework.{room}".rstrip("."))
        shown = [name for name in vars(module) if not name.startswith("_")]
        for name in getattr(module, "__all__", shown):
            thing = getattr(module, name)
            ours = getattr(thing, "__module__", "").startswith("gatework")
            if ours and (inspect.isclass(thing) or inspect.isfunction(thing)):
                found.setdefault(id(thing), (f"{module.__name__}.{name}", thing))
    return list(found.values())


def parameters(thing: Any) -> list[str]:
    """Names to be explained: none for records, whose fields are, and for addresses, which the C header explains."""
    if inspect.isclass(thing) and (
        issubclass(thing, Exception | tuple) or hasattr(thing, "__dataclass_fields__")
    ):
        return []
    if thing.__name__.endswith("_at"):
        return []
    fields = getattr(getattr(thing, "options_class", None), "__dataclass_fields__", {})
    names = {each.name for each in inspect.signature(thing).parameters.values()}
    return sorted(names - set(fields) - {"self", "args", "kwargs"})


def module_of(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def test_every_public_name_can_be_had():
    for name in gatework.__all__:
        assert getattr(gatework, name) is not None
    assert set(gatework.__all__) <= set(dir(gatework))


@pytest.mark.parametrize(("name", "thing"), public_names())
def test_a_public_name_opens_with_a_sentence(name: str, thing: Any):
    first = (inspect.getdoc(thing) or "").split("\n\n")[0]
    assert re.search(r"[.:;)]$", first.strip()), f"{name}: {first!r}"


@pytest.mark.parametrize(("name", "thing"), public_names())
def test_a_public_name_names_its_arguments(name: str, thing: Any):
    module = importlib.import_module(thing.__module__)
    said = f"{inspect.getdoc(thing)}\n{inspect.getdoc(getattr(thing, '__init__', None))}\n{module.__doc__}"
    missing = [each for each in parameters(thing) if not re.search(rf"\b{each}\b", said)]
    assert not missing, f"{name} does not say what these are: {missing}"


@pytest.mark.parametrize(("name", "thing"), public_names())
def test_a_public_function_has_an_example(name: str, thing: Any):
    if inspect.isfunction(thing) and parameters(thing):
        assert ">>> " in (inspect.getdoc(thing) or ""), name


@pytest.mark.parametrize("path", python_files(SOURCE), ids=short)
def test_examples_run_and_are_short(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    if path.name == "__main__.py":
        return
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(module_of(path))
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for test in doctest.DocTestFinder(exclude_empty=True).find(module):
        lines = sum(example.source.count("\n") for example in test.examples)
        assert lines <= LONGEST_EXAMPLE, f"{test.name}: {lines} lines"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            runner.run(test)
    assert runner.failures == 0
