"""The first run: what it prints, what it writes, and what it refuses."""

import re
import subprocess
import sys

import pytest
from html_page import Page

from layernet import ProgressBar
from layernet.__main__ import main, reason_not_writable

pytestmark = pytest.mark.slow


def test_a_whole_run_reaches_097_and_writes_a_report(tmp_path):
    report = tmp_path / "digits.html"
    command = [sys.executable, "-W", "error", "-m", "layernet", "--report", str(report)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    accuracy = float(re.search(r"Accuracy on the held-out digits: ([\d.]+)", done.stdout)[1])
    assert accuracy >= 0.97
    assert "Dense(192)" in done.stdout
    assert "14,410 parameters" in done.stdout
    assert "step/s" in done.stderr
    page = Page.read(report.read_text(encoding="utf-8"))
    assert f"{accuracy:.4f}" in page.text


def test_a_short_run_prints_network_curve_and_accuracy(capsys):
    assert main(["--epochs", "2", "--seed", "3"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("1437 handwritten digits of 8 by 8 pixels to train on, 360 others held out.")
    assert printed.isascii()
    assert len(re.findall(r"^ +[12]  \d\.\d{4} +\d\.\d{4} +0\.\d{4}", printed, re.MULTILINE)) == 2


def test_the_same_seed_gives_the_same_accuracy(capsys):
    runs = []
    for _ in range(2):
        main(["--epochs", "1", "--seed", "5"])
        runs.append(capsys.readouterr().out)
    assert runs[0] == runs[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "0"], "--epochs must be at least 1, got 0"),
        (["--epochs", "many"], "invalid int value: 'many'"),
        (["--seed", "-1"], "--seed must be at least 0"),
        (["--report", "no/such/folder/report.html"], "there is no folder"),
        (["--report", "."], "is a folder; name a file"),
        (["--report", "name-too-long" * 100], "cannot write"),
        (["--quick"], "unrecognized arguments"),
    ],
)
def test_what_would_fail_is_refused_before_training(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


def test_trying_whether_a_file_can_be_written_changes_nothing(tmp_path):
    old, new = tmp_path / "old.html", tmp_path / "new.html"
    old.write_text("as it was", encoding="utf-8")
    assert reason_not_writable(old) is None
    assert reason_not_writable(new) is None
    assert old.read_text(encoding="utf-8") == "as it was"
    assert not new.exists()


@pytest.mark.parametrize(("interrupted_in", "code"), [(1, 1), (2, 0)])
def test_ctrl_c_ends_with_what_there_is(interrupted_in, code, capsys, monkeypatch, tmp_path):
    def interrupt(self, run):
        if run.epoch == interrupted_in:
            raise KeyboardInterrupt

    monkeypatch.setattr(ProgressBar, "on_batch_end", interrupt)
    report = tmp_path / "digits.html"
    assert main(["--epochs", "3", "--report", str(report)]) == code
    captured = capsys.readouterr()
    assert "interrupted" in captured.err.lower()
    assert ("Accuracy on the held-out digits" in captured.out) == (code == 0)
    assert report.exists() == (code == 0)
