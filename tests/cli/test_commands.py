"""Every command with an estimator that learns nothing: words in, calls and text out."""

import csv
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

import gatework
from gatework.cli import main
from gatework.errors import FormatError


def test_help_and_version(run):
    status, out, _ = run("--help")
    assert status == 0
    for word in ("demo", "train", "predict", "score", "look", "data"):
        assert f"  {word} " in out
    assert run("--version") == (0, f"gatework {gatework.__version__}\n", "")


def test_help_loads_nothing_heavy():
    code = (
        "import sys\nfrom gatework.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print([name for name in ('torch', 'numpy', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_help_of_train_loads_no_torch():
    code = (
        "import sys\nfrom gatework.cli import main\n"
        "try: main(['train', 'forecast', '--help'])\nexcept SystemExit: pass\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--horizon" in done.stdout
    assert done.stdout.splitlines()[-1] == "False"


def test_python_m_gatework():
    done = subprocess.run(
        [sys.executable, "-m", "gatework", "data", "get", "nothing"], capture_output=True, text=True
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("gatework: there is no data set 'nothing'")
    assert "Traceback" not in done.stderr


def test_every_option_becomes_a_flag(run, quick):
    _, out, _ = run("train", "forecast", "--help")
    for words in ("--horizon INTEGER", "--rate NUMBER", "--loss mae|mse", "--skip / --no-skip"):
        assert words in out
    assert "Steps to forecast. (default: 24)" in out
    assert "--levels NUMBER,..." in out and "(default: 0.8)" in out


def test_train_passes_what_was_given_and_only_that(run, quick):
    status, out, _ = run(
        "train", "forecast", "own.csv", "--horizon", 7, "--levels", "0.5,0.9", "--no-skip"
    )
    assert status == 0
    options, data, folder, resume = quick.calls[0]
    assert options == {"horizon": 7, "levels": (0.5, 0.9), "skip": False}
    assert (data, folder, resume) == ("own.csv", Path("runs/forecast-own"), False)
    assert Path("runs/forecast-own/report.html").is_file()
    assert "It wins." in out and str(Path("runs/forecast-own/report.html")) in out


def test_scores_are_an_aligned_plain_table(run, quick):
    _, out, _ = run("train", "forecast", "own.csv")
    lines = out.splitlines()
    start = next(n for n, line in enumerate(lines) if "MAE" in line)
    assert lines[start : start + 3] == [
        "                MAE   RMSE",
        "LSTM          0.500  1.000",
        "repeat last  12.250  0.750",
    ]
    assert "\x1b" not in out


def test_a_named_set_goes_by_its_name(run, quick):
    run("train", "forecast", "co2")
    assert quick.calls[0][1:3] == ("co2", Path("runs/forecast-co2"))


def test_demo_replaces_the_last_demo(run, quick):
    for _ in range(2):
        status, out, _ = run("demo", "--seed", 3)
        assert status == 0 and "It wins." in out and "Mauna Loa" in out
    options, data, folder, _ = quick.calls[1]
    assert (options, data) == ({"horizon": 26, "seed": 3}, "co2")
    assert folder == Path("gatework-demo")
    assert Path("gatework-demo/report.html").is_file()
    assert [path.name for path in Path().iterdir() if path.name.startswith(".")] == []


def test_a_finished_folder_is_not_replaced_unasked(run, quick):
    run("train", "forecast", "own.csv")
    status, _, err = run("train", "forecast", "own.csv")
    assert status == 2 and "--overwrite" in err and len(quick.calls) == 1
    assert run("train", "forecast", "own.csv", "--overwrite")[0] == 0
    assert run("train", "forecast", "own.csv", "--resume")[0] == 0
    assert [call[3] for call in quick.calls] == [False, False, True]


def test_overwriting_that_fails_leaves_the_old_model(run, quick, monkeypatch):
    run("train", "forecast", "own.csv", "--out", "done")
    before = {path.name: path.read_text() for path in Path("done").iterdir()}

    def fit(self, data, *, folder, **_):
        (folder / "options.toml").write_text("half")
        raise FormatError("the data is bad")

    monkeypatch.setattr(quick, "fit", fit)
    status, _, err = run("train", "forecast", "own.csv", "--out", "done", "--overwrite")
    assert status == 2 and "the data is bad" in err
    assert {path.name: path.read_text() for path in Path("done").iterdir()} == before


def test_a_folder_does_not_hide_the_set_of_its_name(run, quick):
    Path("co2").mkdir()
    assert run("train", "forecast", "co2")[0] == 0
    Path("other").mkdir()
    status, _, err = run("train", "forecast", "other")
    assert status == 2 and "no file 'other'" in err


def test_a_run_that_was_interrupted_says_how_it_goes_on(run, quick, monkeypatch):
    monkeypatch.setattr(quick, "interrupted", True)
    status, out, _ = run("train", "forecast", "own.csv")
    assert status == 0 and "--resume" in out.splitlines()[-1]


def test_mistakes_in_flags_come_together_and_nothing_runs(run, quick):
    status, out, err = run(
        "train", "forecast", "own.csv", "--horizon", "x", "--rate", "0", "--loss", "maee"
    )
    assert status == 2 and out == "" and quick.calls == []
    assert err.startswith("gatework: ") and "Traceback" not in err
    assert "--horizon x: expected a whole number" in err
    assert "--rate 0: expected more than 0" in err
    assert "did you mean 'mae'" in err


@pytest.mark.parametrize(
    "words, message",
    [
        (["train", "forecast", "own.cvs"], "there is no file 'own.cvs'"),
        (["train", "forecast", "etth"], "did you mean 'etth1'"),
        (["train", "forecast", "own.csv", "--horizons", "3"], "--horizon"),
        (["train", "forcast", "own.csv"], "No such command 'forcast'"),
        (["tran"], "No such command 'tran'"),
        (["look", "."], "report.json"),
        (["data", "get", "co3"], "co2"),
        (["train", "forecast", "own.csv", "--threads", "0"], "threads"),
    ],
)
def test_a_mistake_ends_with_one_message_and_status_two(run, quick, words, message):
    status, out, err = run(*words)
    assert status == 2 and out == ""
    assert message in err and "Traceback" not in err
    assert quick.calls == []


def test_debug_lets_the_exception_through(quick, monkeypatch):
    monkeypatch.setenv("GATEWORK_DEBUG", "1")
    with pytest.raises(FormatError):
        main(["look", "."])


def test_interrupted_while_training(run, quick, monkeypatch):
    def fit(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(quick, "fit", fit)
    status, _, err = run("train", "forecast", "own.csv")
    assert status == 130
    assert err == "gatework: interrupted\n"


def test_a_missing_package_names_its_extra(run, quick, monkeypatch):
    def fit(*_, **__):
        raise ModuleNotFoundError("No module named 'lightning'", name="lightning.fabric")

    monkeypatch.setattr(quick, "fit", fit)
    status, _, err = run("train", "forecast", "own.csv")
    assert status == 2
    assert 'pip install "gatework[train]"' in err


def test_a_fault_of_our_own_keeps_its_traceback(quick, monkeypatch):
    def fit(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr(quick, "fit", fit)
    with pytest.raises(ZeroDivisionError):
        main(["train", "forecast", "own.csv"])


def test_predict_prints_csv(run, quick):
    status, out, _ = run("predict", "folder", "own.csv")
    assert status == 0
    assert list(csv.reader(io.StringIO(out))) == [
        ["time", "forecast"],
        ["2020-01-01", "1.25"],
        ["2020-01-02 12:00", ""],
    ]


def test_predict_writes_a_file(run, quick):
    status, out, _ = run("predict", "folder", "own.csv", "--out", "answer.csv")
    assert (status, out) == (0, "answer.csv\n")
    assert len(Path("answer.csv").read_text().splitlines()) == 3
    status, _, err = run("predict", "folder", "own.csv", "--out", "answer.doc")
    assert status == 2 and "answer.doc" in err


def test_score_prints_the_table(run, quick):
    status, out, _ = run("score", "folder", "own.csv")
    assert status == 0
    lines = [line.split() for line in out.splitlines()]
    assert [line[:1] for line in lines] == [["MAE"], ["LSTM"], ["repeat"], [], ["It"]]


def test_score_everything_reaches_the_task(run, quick, monkeypatch):
    asked = []

    def score(self, data, *, everything=False):
        asked.append(everything)
        return {"scores": [], "headline": "It is judged."}

    monkeypatch.setattr(quick, "score", score)
    for words in ((), ("--everything",)):
        assert run("score", "folder", "own.csv", *words)[0] == 0
    assert asked == [False, True]


def test_look_writes_the_page_anew(run, quick):
    run("train", "forecast", "own.csv", "--out", "done")
    Path("done/report.html").unlink()
    assert run("look", "done") == (0, f"{Path('done/report.html')}\n", "")
    assert Path("done/report.html").is_file()


def test_data_list_and_get(run, quick, monkeypatch):
    monkeypatch.delenv("GATEWORK_DATA", raising=False)
    status, out, _ = run("data", "list")
    lines = out.splitlines()
    assert status == 0 and lines[0].split() == ["name", "size", "licence", "where", "task", "what"]
    co2 = next(line for line in lines if "mauna_loa" in line)
    assert "public domain" in co2 and "shipped" in co2 and "kB" in co2
    starts = {line.index(line.split("  ")[-1].strip()) for line in lines}
    assert len(starts) == 1, "the columns are aligned"
    status, out, _ = run("data", "get", "co2")
    assert status == 0 and Path(out.strip()).is_file()


def test_data_lies_where_gatework_data_says(run, quick, monkeypatch, tmp_path):
    (tmp_path / "etth1").mkdir()
    (tmp_path / "etth1" / "ETTh1.csv").write_text("x")
    monkeypatch.setenv("GATEWORK_DATA", str(tmp_path))
    _, out, _ = run("data", "list")
    line = next(line for line in out.splitlines() if line.startswith("etth1"))
    assert line.split()[1:3] == ["1", "B"] and "local" in line


def test_a_broken_pipe_is_quiet():
    code = "from gatework.cli import main; main(['data', 'list'])"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0
