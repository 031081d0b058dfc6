"""The records that go to the kernels have, byte by byte, the layout that a C compiler gives to the structures."""

import shutil
import subprocess
from pathlib import Path

import pytest

from gatework.native import bound, recurrent

INCLUDE = Path(__file__).resolve().parents[2] / "kernels" / "include"
COMPILER = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
FIELDS = {
    "gw_shape": (*recurrent.Layout._fields, "threads"),
    "gw_options": tuple(
        name.replace("_kind", ".kind").replace("_alpha", ".alpha").replace("_beta", ".beta")
        for name in recurrent.Options._fields
    ),
    "gw_weights": recurrent.WeightsAt._fields,
    "gw_forward": recurrent.ForwardAt._fields,
    "gw_backward": recurrent.BackwardAt._fields,
    "gw_stream_binding": ("shape", "options", "weights", "packed", "x", "y", "residual", "carry"),
    "gw_stream_call": ("streams", "count", "rows", "reset"),
}
NUMBERS = ("residual", "carry", "count")  # of the structures that hold pointers
PACKED = {
    "gw_shape": recurrent.SHAPE,
    "gw_options": recurrent.OPTIONS,
    "gw_weights": recurrent.WEIGHTS,
    "gw_forward": recurrent.FORWARD,
    "gw_backward": recurrent.BACKWARD,
    "gw_stream_binding": bound.BINDING,
    "gw_stream_call": bound.CALL,
}


@pytest.mark.skipif(COMPILER is None, reason="there is no C compiler")
@pytest.mark.parametrize("name", FIELDS)
def test_a_record_has_the_bytes_of_its_structure(name: str, tmp_path: Path) -> None:
    """Each field is set to its place in the record; the compiled program prints the bytes that come of it."""
    pointers = name not in ("gw_shape", "gw_options")
    lines = [
        f"  value.{field} = {'(void *)(intptr_t)' if pointers and field not in NUMBERS else ''}{place};"
        for place, field in enumerate(FIELDS[name], 1)
    ]
    source = tmp_path / "structure.c"
    source.write_text(
        '#include <stdio.h>\n#include <string.h>\n#include "gatework/stream.h"\n'
        f"int main(void) {{\n  {name} value;\n  memset(&value, 0, sizeof value);\n"
        + "\n".join(lines)
        + "\n  fwrite(&value, 1, sizeof value, stdout);\n  return 0;\n}\n"
    )
    program = tmp_path / "structure"
    assert COMPILER is not None
    subprocess.run([COMPILER, "-I", str(INCLUDE), str(source), "-o", str(program)], check=True)
    printed = subprocess.run([str(program)], capture_output=True, check=True).stdout
    assert PACKED[name].pack(*range(1, len(FIELDS[name]) + 1)) == printed


def test_a_seed_with_its_highest_bit_goes_through() -> None:
    assert recurrent.OPTIONS.pack(*recurrent.Options(seed=-1))[-8:] == b"\xff" * 8
