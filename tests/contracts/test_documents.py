"""The pages keep their word: links lead somewhere, names exist, commands are targets, code runs."""

import importlib
import re
import runpy
import shutil
from pathlib import Path

import pytest

from tests.contracts.tree import ROOT, SOURCE, documents, short
from tests.keras.test_lessons import LESSONS

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
README = (ROOT / "README.md").read_text(encoding="utf-8")


def code(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("path", documents(), ids=short)
def test_links_lead_somewhere(path: Path):
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        place, _, heading = target.partition("#")
        page = (path.parent / place) if place else path
        assert page.exists(), target
        if heading:
            headings = re.findall(r"^#+ (.*)", page.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in map(anchor, headings), target


@pytest.mark.parametrize("path", documents(), ids=short)
def test_names_of_the_library_exist(path: Path):
    for name in re.findall(r"`gatework((?:\.\w+)+)[`(]", path.read_text(encoding="utf-8")):
        parts = name.strip(".").split(".")
        thing = importlib.import_module("gatework")
        for depth, part in enumerate(parts):
            if not hasattr(thing, part):
                importlib.import_module("gatework." + ".".join(parts[: depth + 1]))
            thing = getattr(thing, part)


@pytest.mark.parametrize("path", documents(), ids=short)
def test_commands_of_make_are_targets(path: Path):
    targets = set(
        re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    for block in code(path.read_text(encoding="utf-8"), "console"):
        for command in re.findall(r"^make ([\w-]+)", block, re.MULTILINE):
            assert command in targets


def test_every_page_is_reached_from_the_index():
    index = ROOT / "docs" / "index.md"
    linked = re.findall(r"\]\(([^)\s#]+)", index.read_text(encoding="utf-8"))
    reached = {(index.parent / target).resolve() for target in linked} | {index}
    assert {short(page) for page in (ROOT / "docs").rglob("*.md") if page not in reached} == set()


def test_the_readme_fits_on_one_screen():
    assert len(README.splitlines()) <= 60


def test_the_path_through_one_word_goes_down():
    rooms = [room for room in re.findall(r"\]\(([^)]*(?:lstm|recurrent|__init__)[^)]*)\)", README)]
    floors = ["gatework/__init__", "reference", "layers", "ops", "include", "kernels/src"]
    assert len(rooms) == len(floors)
    assert all(floor in room for floor, room in zip(floors, rooms, strict=True))


@pytest.mark.slow
def test_the_three_lines_of_the_readme_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("lightning")
    shutil.copy(SOURCE / "data" / "co2.csv", tmp_path / "measurements.csv")
    monkeypatch.chdir(tmp_path)
    (block,) = code(README, "python")
    assert len(block.strip().splitlines()) <= 4
    exec(compile(block, "README.md", "exec"), {})


@pytest.mark.parametrize("path", [e for e in EXAMPLES if e.stem not in LESSONS], ids=short)
def test_an_example_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [str(path)])
    runpy.run_path(str(path), run_name="__main__")
