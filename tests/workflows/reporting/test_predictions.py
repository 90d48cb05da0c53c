"""The CSV of `medfs predict` is read strictly, and what is wrong with it is said."""

import pytest

from medfs.core.errors import DataError
from medfs.workflows.reporting.predictions import read_predictions

HEAD = "case,prediction,p_a,p_b,familiar,note\n"


def written(tmp_path, text: str | bytes):
    path = tmp_path / "p.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_rows_are_read(tmp_path):
    text = HEAD + 'x,a,0.75,0.25,yes,"n, m"\ny,,,,no,unlike\n'
    one, other = read_predictions(written(tmp_path, text), ["a", "b"])
    assert (one.case, one.prediction, one.probabilities, one.note) == (
        "x",
        "a",
        (0.75, 0.25),
        "n, m",
    )
    assert one.extra == {"familiar": "yes"}
    assert (other.probabilities, other.prediction, other.extra["familiar"]) == (None, "", "no")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no column 'case'"),
        ("case,prediction,note\n", "no column 'p_a'"),
        ("case,prediction,p_a,p_b,p_c,note\n", "'p_c' is not of this model"),
        ("case,case,prediction,p_a,p_b,note\n", "'twice'"),
        (HEAD + "x,a,1\n", "Line 2 has 3 cells"),
        (HEAD + "x,c,0.5,0.5,yes,\n", "no class of the model"),
        (HEAD + "x,a,half,0.5,yes,\n", "no number"),
        (HEAD + "x,a,nan,0.5,yes,\n", "summing to 1"),
        (HEAD + "x,a,0.9,0.9,yes,\n", "summing to 1"),
        (HEAD + "x,a,1.5,-0.5,yes,\n", "summing to 1"),
        (HEAD + "x,a,,,yes,\n", "not both"),
        (HEAD + "x,,1.0,0.0,yes,\n", "not both"),
        (HEAD + 'x,"a"b,1.0,0.0,yes,\n', "no CSV"),
        (b"\xff\xfe\x00", "UTF-8"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, text, said):
    with pytest.raises(DataError, match=r"predictions cannot be read") as error:
        read_predictions(written(tmp_path, text), ["a", "b"])
    assert said in str(error.value)
    assert "medfs predict" in str(error.value)


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        read_predictions(tmp_path / "none.csv", ["a", "b"])
