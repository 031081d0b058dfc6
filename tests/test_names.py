"""The face of the package: names are found when touched, and `import gatework` brings nothing heavy."""

import subprocess
import sys

import pytest

import gatework


@pytest.mark.parametrize("name", [n for n in gatework.__all__ if n != "Forecaster"])
def test_every_name_is_there(name: str) -> None:
    assert getattr(gatework, name) is not None
    assert name in dir(gatework)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'LSTN'"):
        _ = gatework.LSTN


def _python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_import_loads_neither_torch_nor_numpy() -> None:
    heavy = "{'torch', 'lightning', 'numpy', 'matplotlib'}"
    assert _python(f"import gatework, sys; print(set(sys.modules) & {heavy})") == "set()"


def test_a_missing_torch_names_its_extra() -> None:
    code = (
        "import sys; sys.modules['torch'] = None; import gatework\n"
        "try: gatework.LSTM\n"
        "except gatework.MissingExtraError as error: print(error)"
    )
    said = _python(code)
    assert "torch is not installed" in said and "gatework[torch]" in said
