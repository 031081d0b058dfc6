"""The page: complete, self-contained, escaped, accessible, and whole or not at all."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from gatework import look
from gatework.errors import FormatError, MissingExtraError

SECTIONS = ["scores", "forecasts", "errors", "intervals", "training", "data", "network", "use"]


class Page(HTMLParser):
    """Collects tags and text of a page, and fails on tags that do not nest."""

    EMPTY = {"meta", "link", "br", "path", "use", "rect"}

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.open = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if tag in self.EMPTY:
            return
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.texts.append(text)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.texts))


def _page(folder):
    path = look.report(folder)
    assert path == folder / "report.html"
    text = path.read_text(encoding="utf-8")
    return text, Page(text)


def test_all_sections_are_there(write, facts):
    text, page = _page(write(facts))
    assert [a["id"] for tag, a in page.tags if tag == "h2"] == SECTIONS
    for words in ("Weekly CO2", "40% better than seasonal naive", "79%", "1,234", "native, AVX2"):
        assert words in page.text
    assert len(text) < 2_000_000


def test_sections_without_facts_are_left_out(write, facts):
    least = {key: facts[key] for key in ("format", "task", "scores")}
    _, page = _page(write(least))
    assert [a["id"] for tag, a in page.tags if tag == "h2"] == ["scores", "use"]


def test_the_page_asks_for_nothing_from_outside(write, facts):
    text, page = _page(write(facts))
    for tag, attributes in page.tags:
        assert tag not in ("script", "img", "iframe", "object")
        for name in ("src", "href", "xlink:href"):
            assert attributes.get(name, "#").startswith(("#", "data:,"))
    assert not re.search(r"@import|url\((?!#)", text)
    assert "http" not in re.sub(r'xmlns[^=]*="[^"]*"', "", text)


def test_what_a_user_wrote_is_escaped(write, facts):
    evil = "<script>alert('x')</script>&\"$a^"
    facts["title"] = facts["headline"] = facts["data"]["name"] = evil
    facts["data"]["targets"] = [evil]
    facts["scores"][1]["name"] = evil
    facts["options"][evil] = evil
    facts["network"]["description"] = evil
    facts["examples"][0].update(target=evil, id=evil)
    facts["horizon_error"]["mae"][evil] = [1.0, 1.0, 1.0]
    facts["split"][evil] = facts["split"].pop("test")
    text, page = _page(write(facts))
    assert "<script" not in text
    assert page.text.count("alert('x')") >= 8
    assert all(tag != "script" for tag, _ in page.tags)


def test_every_picture_has_its_alternative_text_and_its_own_ids(write, facts):
    _, page = _page(write(facts))
    pictures = [a for tag, a in page.tags if tag == "svg" and a.get("role") == "img"]
    assert len(pictures) == 10
    assert all(len(a["aria-label"]) > 20 for a in pictures)
    hidden = [a for tag, a in page.tags if tag == "svg" and a.get("role") != "img"]
    assert all(a.get("aria-hidden") == "true" for a in hidden)
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))


def test_pictures_take_their_colours_and_fonts_from_the_page(write, facts):
    text, _ = _page(write(facts))
    pictures = "".join(re.findall(r'<svg[^>]*role="img".*?</svg>', text, re.DOTALL))
    assert not re.search(r"#[0-9a-f]{6}", pictures)
    assert "DejaVu" not in pictures and "<style" not in pictures
    assert "var(--model)" in pictures and "var(--sans)" in pictures


def test_the_best_of_each_column_is_marked(write, facts):
    text, _ = _page(write(facts))
    best = re.findall(r'<td class="best">([^<]*)</td>', text)
    assert best == ["0.300", "0.400", "0.400"]
    rows = re.findall(r"<tr[^>]*>.*?</tr>", text, re.DOTALL)
    model = next(row for row in rows if "LSTM" in row)
    assert model.count('class="best"') == 2 and 'class="model"' in model


def test_same_facts_same_page(write, facts):
    folder = write(facts)
    assert _page(folder)[0] == _page(folder)[0]


def test_nothing_half_written(write, facts, monkeypatch):
    folder = write(facts)
    (folder / "report.html").write_text("old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        look.report(folder)
    assert (folder / "report.html").read_text() == "old"
    assert sorted(path.name for path in folder.iterdir()) == ["report.html", "report.json"]


def test_a_damaged_report_leaves_the_old_page(write, facts):
    folder = write(facts)
    look.report(folder)
    (folder / "report.json").write_text("{")
    before = (folder / "report.html").read_bytes()
    with pytest.raises(FormatError):
        look.report(folder)
    assert (folder / "report.html").read_bytes() == before


@pytest.mark.parametrize("package", ["matplotlib", "jinja2"])
def test_a_missing_package_names_its_extra(write, facts, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=r"gatework\[train\]") as caught:
        look.report(write(facts))
    assert caught.value.package == package


def test_looking_needs_no_torch():
    code = "import sys; from gatework import look; print('torch' in sys.modules, 'matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
