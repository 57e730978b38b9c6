import subprocess
import sys

import pytest


def words(text):
    return [word.strip(".,;").lower() for word in text.split()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("One, two.", ["one", "two"]), ("", []), ("  a  b ", ["a", "b"])],
)
def test_words(text, expected):
    assert words(text) == expected


def test_a_folder_of_its_own(tmp_path):
    file = tmp_path / "words.txt"
    file.write_text("three four")
    assert words(file.read_text()) == ["three", "four"]


def test_another_process():
    said = subprocess.run([sys.executable, "-c", "print('five')"], capture_output=True, text=True, check=True)
    assert words(said.stdout) == ["five"]
