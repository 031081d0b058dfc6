"""Where the project's files lie, for the contract tests. The package itself may be installed elsewhere."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "gatework"


def python_files(*folders: Path) -> list[Path]:
    """All Python files below the folders, sorted."""
    return sorted(path for folder in folders for path in folder.rglob("*.py"))


def kernel_files() -> list[Path]:
    """All C++ sources and headers."""
    return sorted(p for p in (ROOT / "kernels").rglob("*") if p.suffix in {".h", ".cpp"})


def documents() -> list[Path]:
    """All pages in Markdown."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def short(path: Path) -> str:
    """A path as a test's name."""
    return str(path.relative_to(ROOT))
