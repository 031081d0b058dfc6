"""What import-linter cannot see: what is loaded when, and which packages a room may load at module level."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.tree import ROOT, SOURCE, python_files, short

HEAVY = (
    "torch", "lightning", "keras", "matplotlib", "pandas", "polars", "pyarrow", "narwhals",
    "pooch", "jinja2", "typer", "fastapi", "onnx", "jax", "flax", "h5py",
)  # fmt: skip
ALLOWED = {
    "": {"numpy", "safetensors"},
    "errors": set(),
    "options": {"tomli", "tomllib"},
    "reference": {"numpy"},
    "native": {"numpy"},
    "weights": {"numpy"},
    "runtime": {"numpy", "safetensors"},
    "data": {"numpy"},
    "metrics": {"numpy"},
}


def loaded_by(statement: str) -> set[str]:
    """Top-level packages in memory after the statement, in a fresh interpreter."""
    code = f"import sys\n{statement}\nprint('\\n'.join({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def module_level(tree: ast.Module) -> Iterator[ast.stmt]:
    """Statements that run on import: not those inside functions, nor those for type checkers alone."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                continue
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                waiting.extend(child.orelse)
                continue
            if isinstance(child, ast.Import | ast.ImportFrom):
                yield child
            waiting.append(child)


def foreign_packages(path: Path) -> set[str]:
    """Packages from outside the standard library and the house that a file loads on import."""
    found: set[str] = set()
    for statement in module_level(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(statement, ast.Import):
            found |= {alias.name.split(".")[0] for alias in statement.names}
        elif isinstance(statement, ast.ImportFrom) and statement.module:
            found.add(statement.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"gatework"}


def test_importing_the_package_loads_no_extra():
    assert loaded_by("import gatework").isdisjoint(HEAVY)


@pytest.mark.parametrize("room", ["native", "data", "metrics", "options", "runtime", "weights"])
def test_a_ground_floor_room_loads_no_extra(room: str):
    assert loaded_by(f"import gatework.{room}").isdisjoint(HEAVY)


def test_asking_for_help_starts_without_torch():
    help_text = "import gatework.cli\ntry: gatework.cli.main(['--help'])\nexcept SystemExit: pass"
    assert loaded_by(help_text).isdisjoint({"torch", "lightning", "matplotlib", "pandas"})


@pytest.mark.parametrize("path", python_files(SOURCE), ids=short)
def test_a_file_loads_only_what_its_room_may(path: Path):
    room = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    allowed = ALLOWED.get("" if room == "__init__" else room)
    if allowed is not None:
        assert foreign_packages(path) <= allowed


def test_every_room_below_ops_has_its_rule():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    floors = text[text.index("layers = [") : text.index("exhaustive = true")]
    below_ops = floors[floors.index('"ops"') + 5 :]
    rooms = {word.strip() for part in below_ops.split('"')[1::2] for word in part.split("|")}
    assert {room.strip("()") for room in rooms} <= set(ALLOWED)
