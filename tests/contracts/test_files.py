"""Names and openings of files: nothing that says nothing, no paths of one machine, and the versions agree."""

import ast
import re
from pathlib import Path

import pytest

import gatework
from gatework.options import read_toml
from tests.contracts.tree import ROOT, SOURCE, documents, kernel_files, python_files, short

FOLDERS = [
    SOURCE,
    *(ROOT / name for name in ("tests", "benchmarks", "examples") if (ROOT / name).is_dir()),
]
EMPTY_WORDS = {
    "utils",
    "util",
    "helpers",
    "helper",
    "common",
    "misc",
    "manager",
    "v2",
    "base2",
    "stuff",
}
PLACES = re.compile(r"(?<![\w.{$/])/(?:home|root|Users|work|tmp|opt|private|mnt)/\w")
SETTINGS = (
    "pyproject.toml",
    "constraints.txt",
    "CMakeLists.txt",
    "Makefile",
    ".ci/run",
    ".pre-commit-config.yaml",
)
PAGES = [
    *python_files(*FOLDERS),
    *kernel_files(),
    *documents(),
    *sorted((SOURCE / "recipes").glob("*.toml")),
    *(ROOT / name for name in SETTINGS),
]


@pytest.mark.parametrize("path", [*python_files(*FOLDERS), *kernel_files()], ids=short)
def test_a_file_is_named_for_what_it_holds(path: Path):
    words = set(re.split(r"[_.]", path.name.lower())) | {
        part.lower() for part in path.relative_to(ROOT).parts
    }
    assert not words & EMPTY_WORDS


@pytest.mark.parametrize("path", python_files(SOURCE), ids=short)
def test_a_python_file_opens_with_one_to_five_lines_on_what_is_here(path: Path):
    opening = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert opening, "a docstring opens the file"
    lines = [line for line in opening.splitlines() if line.strip()]
    assert len(lines) <= 5 or path.parent.name == "reference"
    assert re.search(r"[.:!?)]$", lines[-1]), "whole sentences"


@pytest.mark.parametrize("path", kernel_files(), ids=short)
def test_a_kernel_file_opens_with_a_comment(path: Path):
    assert path.read_text(encoding="utf-8").startswith(("//", "/*"))


@pytest.mark.parametrize("path", PAGES, ids=short)
def test_no_page_names_a_place_of_one_machine(path: Path):
    text = path.read_text(encoding="utf-8")
    assert not PLACES.findall(text)


def test_the_version_is_the_same_everywhere():
    project = read_toml(ROOT / "pyproject.toml")["project"]
    newest = re.search(
        r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert newest
    assert gatework.__version__ == project["version"] == newest.group(1)


def test_the_hooks_use_the_versions_of_the_constraints():
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    pinned = set(re.findall(r"[\w-]+==[\w.]+", hooks))
    assert pinned
    assert pinned <= set((ROOT / "constraints.txt").read_text(encoding="utf-8").split())


def test_every_dependency_has_its_exact_version_and_is_a_range():
    project = read_toml(ROOT / "pyproject.toml")["project"]
    wanted = [*project["dependencies"], *sum(project["optional-dependencies"].values(), [])]
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pinned = set(re.findall(r"^([\w.-]+)==", constraints, re.MULTILINE))
    for requirement in wanted:
        name = re.split(r"[\[>=<; ]", requirement)[0]
        assert name == "gatework" or (name in pinned and ">=" in requirement), requirement


def test_every_exact_version_holds_for_one_python_only_once():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    entries = [line for line in lines if line and not line.startswith("#")]
    bare = [line.split("==")[0] for line in entries if ";" not in line]
    assert len(bare) == len(set(bare))
    assert not set(bare) & {line.split("==")[0] for line in entries if ";" in line}
    assert "torch==2.13.0" in entries
