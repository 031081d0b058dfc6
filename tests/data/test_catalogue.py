"""The catalogue: named folder first, checksums on every way, downloads from a server on this machine, clear errors."""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import lzma
import os
import threading
from pathlib import Path

import pytest

from gatework.data import catalogue, read_table
from gatework.data.catalogue import Entry, File
from gatework.errors import FormatError, GateworkError, OptionError

TEXT = b"t,y\n1,2\n2,3\n"


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def server(tmp_path: Path):
    """Address of a server that hands out the files of `tmp_path/www`."""
    folder = tmp_path / "www"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    handler = functools.partial(Quiet, directory=str(folder))
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()
    thread.join()


@pytest.fixture
def sets(monkeypatch, tmp_path: Path):
    """Puts entries of the test's own into the catalogue, and the cache into `tmp_path/cache`."""
    monkeypatch.setenv("GATEWORK_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GATEWORK_DATA", raising=False)

    def put(*files: File) -> None:
        entry = Entry("some", "Some set", "CC0", files, aliases=("thing",))
        monkeypatch.setattr(catalogue, "_entries", lambda: {"some": entry})

    return put


def left(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_fetches_checks_and_keeps(sets, server: str, tmp_path: Path) -> None:
    sets(File("some/a.csv", sha(TEXT), f"{server}/a.csv"))
    (tmp_path / "www/a.csv").write_bytes(TEXT)
    path = catalogue.get("thing")
    assert path == tmp_path / "cache/some/a.csv" and read_table(path, target="y").rows == 2
    (tmp_path / "www/a.csv").unlink()
    assert catalogue.get("some") == path
    assert left(tmp_path / "cache") == ["some/a.csv"]


def test_another_file_at_the_address_is_refused_and_not_kept(
    sets, server: str, tmp_path: Path
) -> None:
    sets(File("some/a.csv", sha(TEXT), f"{server}/a.csv"))
    (tmp_path / "www/a.csv").write_bytes(TEXT + b"3,4\n")
    with pytest.raises(FormatError, match=sha(TEXT)):
        catalogue.get("some")
    assert left(tmp_path / "cache") == []


def test_no_network_says_what_to_do(sets, server: str, tmp_path: Path) -> None:
    sets(File("some/a.csv", sha(TEXT), f"{server}/absent.csv"))
    with pytest.raises(GateworkError, match=r"absent.csv.*GATEWORK_DATA"):
        catalogue.get("some")
    sets(File("some/a.csv", sha(TEXT), "http://127.0.0.1:9/a.csv"))
    with pytest.raises(GateworkError, match=r"some/a.csv cannot be fetched.*GATEWORK_DATA"):
        catalogue.get("some")
    assert left(tmp_path / "cache") == []


def test_no_address_says_where_it_is_from(sets) -> None:
    sets(File("some/a.csv", sha(TEXT), note="from somewhere"))
    with pytest.raises(GateworkError, match=r"no address.*from somewhere"):
        catalogue.get("some")


def test_named_folder_comes_first_and_is_checked(
    sets, server: str, monkeypatch, tmp_path: Path
) -> None:
    sets(File("some/a.csv", sha(TEXT), f"{server}/a.csv"))
    own = tmp_path / "own/some/a.csv"
    own.parent.mkdir(parents=True)
    own.write_bytes(TEXT)
    monkeypatch.setenv("GATEWORK_DATA", str(tmp_path / "own"))
    assert catalogue.get("some") == own
    own.write_bytes(TEXT[:-3])
    with pytest.raises(FormatError, match="damaged") as caught:
        catalogue.get("some")
    assert str(own) in str(caught.value)
    monkeypatch.setenv("GATEWORK_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(OptionError, match="nowhere"):
        catalogue.get("some")


def test_damaged_cache_is_noticed(sets, server: str, tmp_path: Path) -> None:
    sets(File("some/a.csv", sha(TEXT), f"{server}/a.csv"))
    (tmp_path / "www/a.csv").write_bytes(TEXT)
    catalogue.get("some").write_bytes(TEXT[:-1])
    with pytest.raises(FormatError, match="damaged"):
        catalogue.get("some")


def test_another_packing_is_right_when_its_content_is(
    sets, server: str, monkeypatch, tmp_path: Path
) -> None:
    sets(File("some/a.gz", sha(b"else"), f"{server}/a.gz", content_sha256=sha(TEXT)))
    (tmp_path / "www/a.gz").write_bytes(gzip.compress(TEXT))
    assert gzip.decompress(catalogue.get("some").read_bytes()) == TEXT
    sets(File("some/b.gz", sha(b"else"), f"{server}/b.gz", content_sha256=sha(TEXT)))
    (tmp_path / "www/b.gz").write_bytes(gzip.compress(TEXT)[:-4])
    with pytest.raises(FormatError):
        catalogue.get("some")
    sets(File("some/c.xz", sha(b"else"), f"{server}/c.txt", content_sha256=sha(TEXT)))
    (tmp_path / "www/c.txt").write_bytes(TEXT)
    assert lzma.decompress(catalogue.get("some").read_bytes()) == TEXT


def test_sets_of_several_files(sets, server: str, tmp_path: Path) -> None:
    sets(
        File("some/a.csv", sha(TEXT), f"{server}/a.csv"),
        File("some/in/b.csv", sha(TEXT), f"{server}/a.csv"),
    )
    (tmp_path / "www/a.csv").write_bytes(TEXT)
    assert catalogue.get("some", "b").name == "b.csv" == catalogue.get("some/b").name
    assert catalogue.get("some") == tmp_path / "cache/some"
    assert left(tmp_path / "cache") == ["some/a.csv", "some/in/b.csv"]
    assert catalogue.get("some") == tmp_path / "cache/some"
    with pytest.raises(OptionError, match="a.csv, in/b.csv"):
        catalogue.get("some", "c")


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(OptionError, match="did you mean 'etth1'"):
        catalogue.get("eth1")
    assert catalogue.find("nothing") is None and catalogue.find("CO2") is catalogue.find(
        "mauna-loa-co2"
    )


def test_facts_are_complete() -> None:
    names = [name for entry in catalogue.list() for name in (entry.name, *entry.aliases)]
    assert len(names) == len(set(names)) and len(names) > 20
    for entry in catalogue.list():
        assert entry.title and entry.licence and entry.task
        for file in entry.files:
            assert file.path.startswith(entry.name + "/")
            assert len(file.sha256) == 64 and len(file.content_sha256) in (0, 64)
            assert file.url.startswith("https://") or (not file.url and file.note)


def test_co2_ships_and_its_gaps_are_masked(monkeypatch) -> None:
    monkeypatch.delenv("GATEWORK_DATA", raising=False)
    monkeypatch.setattr("gatework.data.fetch._pooch", None)
    entry = catalogue.find("co2")
    assert entry is not None
    table = read_table(catalogue.get("co2"), time=entry.time, target=entry.target)
    assert (table.rows, table.missing, str(table.step)) == (2284, 59, "1 week")
    assert table.step is not None and table.step.season == entry.period == 52
    assert (str(table.start)[:10], str(table.end)[:10]) == ("1958-03-29", "2001-12-29")


@pytest.mark.skipif("GATEWORK_DATA" not in os.environ, reason="GATEWORK_DATA names no folder")
def test_sets_of_the_named_folder_fit_their_checksums() -> None:
    for entry in catalogue.list():
        if (Path(os.environ["GATEWORK_DATA"]) / entry.name).is_dir():
            assert catalogue.get(entry.name).exists()
