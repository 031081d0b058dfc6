"""options.py: what is declared is described, checked, read and written; mistakes are reported together."""

import dataclasses
import datetime
import math
import os
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatework.errors import FormatError, OptionError
from gatework.options import (
    check,
    describe,
    from_mapping,
    nearest,
    option,
    read_toml,
    to_mapping,
    write_toml,
)


@dataclasses.dataclass(frozen=True)
class Options:
    size: int = option(4, "Units.", ge=1)
    rate: float = option(1e-3, "Step size.", gt=0)
    patience: int | None = option(3, "Epochs without progress.", ge=0)
    quantiles: tuple[float, ...] = option((0.1, 0.9), "Levels.", ge=0, le=1)
    cell: str = option("lstm", "Kind of cell.", choices=("lstm", "gru"))
    kind: Literal["standard", "none"] = option("standard", "Scaling.")
    split: str | tuple[int, ...] = option("0.7,0.1,0.2", "Parts in time.")
    period: int | None = option(None, "Season in steps.", ge=1)
    where: Literal["first", "last"] | None = option(None, "Which end.")
    calendar: bool = option(True, "Use the clock.")
    folder: Path | None = option(None, "Where to write.")

    def __post_init__(self):
        check(self)


def test_describe_gives_names_sentences_limits_and_resolved_types():
    infos = {info.name: info for info in describe(Options)}
    assert list(infos) == [field.name for field in dataclasses.fields(Options)]
    assert infos["size"].doc == "Units." and infos["size"].ge == 1 and infos["size"].type is int
    assert infos["kind"].choices == ("standard", "none")
    assert infos["patience"].type == (int | None)


def test_every_default_passes_its_own_check():
    check(Options())


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("size", 0, "at least 1"),
        ("size", 2.0, "a whole number"),
        ("size", True, "a whole number"),
        ("size", "4", "a whole number"),
        ("rate", 0, "more than 0"),
        ("rate", math.nan, "more than 0"),
        ("patience", 1.5, "a whole number or none"),
        ("quantiles", (0.1, 1.5), "at most 1"),
        ("quantiles", 0.5, "a list"),
        ("quantiles", ("low",), "a list"),
        ("cell", "gruu", "did you mean 'gru'"),
        ("cell", 3, "text"),
        ("kind", "standart", "did you mean 'standard'"),
        ("split", (0.5,), "text or a list"),
        ("where", "lasst", "did you mean 'last'"),
        ("calendar", 1, "true or false"),
    ],
)
def test_a_bad_value_is_refused_with_what_was_expected(name: str, value: Any, said: str):
    for build in (lambda: Options(**{name: value}), lambda: from_mapping(Options, {name: value})):
        with pytest.raises(OptionError, match=said) as caught:
            build()
        assert name in str(caught.value)


def test_all_mistakes_are_reported_together_with_the_nearest_name():
    with pytest.raises(OptionError) as caught:
        from_mapping(Options, {"sise": 3, "rate": -1, "cell": "x"}, where="recipe.toml")
    message = str(caught.value)
    assert message.startswith("recipe.toml: 3 mistakes")
    assert "'sise'; did you mean 'size'?" in message
    assert "rate = -1" in message and "cell = 'x'" in message


def test_a_field_without_default_is_missed_by_name():
    @dataclasses.dataclass(frozen=True)
    class Required:
        name: str

    with pytest.raises(OptionError, match="name is missing; expected text"):
        from_mapping(Required, {})


def test_values_are_brought_to_the_declared_type():
    options = from_mapping(Options, {"rate": 1, "quantiles": [0, 1], "split": [7, 1, 2]})
    assert type(options.rate) is float
    assert options.quantiles == (0.0, 1.0) and type(options.quantiles[0]) is float
    assert options.split == (7, 1, 2)


def test_none_is_read_where_allowed_and_refused_elsewhere():
    assert from_mapping(Options, {"patience": "none"}).patience is None
    assert from_mapping(Options, {"patience": None}).patience is None
    with pytest.raises(OptionError, match="size = 'none'"):
        from_mapping(Options, {"size": "none"})


options_of_any_kind = st.builds(
    Options,
    size=st.integers(1, 10**6),
    rate=st.floats(1e-30, 1e30),
    patience=st.none() | st.integers(0, 99),
    quantiles=st.lists(st.floats(0, 1), max_size=4).map(tuple),
    cell=st.sampled_from(("lstm", "gru")),
    kind=st.sampled_from(("standard", "none")),
    split=st.text(st.characters(codec="utf-8")) | st.lists(st.integers(0, 9)).map(tuple),
    period=st.none() | st.integers(1, 99),
    calendar=st.booleans(),
    folder=st.none() | st.sampled_from((Path("a"), Path("b c/d"))),
)


@given(options_of_any_kind)
def test_options_survive_the_way_through_a_file(tmp_path_factory: Any, options: Options):
    path = tmp_path_factory.mktemp("options") / "options.toml"
    write_toml({"options": to_mapping(options)}, path)
    assert from_mapping(Options, read_toml(path)["options"]) == options


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("size", "7", 7),
        ("rate", "1e-4", 1e-4),
        ("patience", "none", None),
        ("patience", "5", 5),
        ("quantiles", "0.1, 0.5", (0.1, 0.5)),
        ("cell", "gru", "gru"),
        ("kind", "none", "none"),
        ("split", "1,2", (1, 2)),
        ("split", "1995-01-01,1998-01-01", "1995-01-01,1998-01-01"),
        ("calendar", "no", False),
        ("folder", "some/where", Path("some/where")),
    ],
)
def test_words_of_the_command_line_are_parsed(name: str, text: str, value: Any):
    info = next(info for info in describe(Options) if info.name == name)
    assert info.parse(text) == value


@pytest.mark.parametrize(
    ("name", "text"), [("size", "0"), ("size", "x"), ("rate", "nan"), ("kind", "other")]
)
def test_words_that_do_not_fit_are_refused_by_name(name: str, text: str):
    info = next(info for info in describe(Options) if info.name == name)
    with pytest.raises(OptionError, match=f"{name} = '{text}': expected"):
        info.parse(text)


def test_toml_keeps_text_numbers_dates_and_tables(tmp_path: Path):
    mapping = {
        "text": 'quoted "word"\n\x7f\u00e9',
        "tiny": 1e-05,
        "infinite": -math.inf,
        "flag": True,
        "when": datetime.date(1995, 1, 2),
        "odd key": [1, 2],
        "table": {"a": 1, "b": ["x"]},
    }
    write_toml(mapping, tmp_path / "a.toml")
    assert read_toml(tmp_path / "a.toml") == mapping


def test_a_plain_value_after_a_table_stays_outside_it(tmp_path: Path):
    write_toml({"table": {"a": 1}, "b": 2}, tmp_path / "a.toml")
    assert read_toml(tmp_path / "a.toml") == {"b": 2, "table": {"a": 1}}


def test_a_value_without_a_form_leaves_the_old_file_alone(tmp_path: Path):
    path = tmp_path / "a.toml"
    write_toml({"a": 1}, path)
    with pytest.raises(OptionError, match="b = None"):
        write_toml({"a": 2, "b": None}, path)
    assert read_toml(path) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "a.toml"
    write_toml({"a": 1}, path)

    def refuse(source: Any, target: Any):
        assert Path(source).read_text() == "a = 2\n"
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="no space"):
        write_toml({"a": 2}, path)
    assert read_toml(path) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_damaged_absent_and_binary_files_are_format_errors(tmp_path: Path):
    damaged = tmp_path / "damaged.toml"
    damaged.write_text("a = 1\nb = = 2\n")
    with pytest.raises(FormatError, match="line 2") as caught:
        read_toml(damaged)
    assert caught.value.line == 2 and caught.value.path == damaged
    with pytest.raises(FormatError, match="cannot be read"):
        read_toml(tmp_path / "absent.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FormatError, match="UTF-8"):
        read_toml(tmp_path / "binary.toml")


def test_nearest_names_what_was_meant_or_all_that_is_known():
    assert nearest("hiden", ["hidden", "dropout"]) == "did you mean 'hidden'?"
    assert nearest("zzz", ["hidden", "dropout"]) == "known are 'hidden', 'dropout'"
    assert nearest("zzz", []) == "none are known"


def test_nothing_heavy_is_loaded_with_options():
    assert "torch" not in vars(sys.modules["gatework.options"])
