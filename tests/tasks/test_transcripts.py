import pytest

from regen_jax.tasks.transcripts import error_rates


def test_example_that_is_too_long_scores_as_an_empty_transcript():
    """9 words of 3 letters, of which 3 are right and 6 are missing, in 1 text of 3."""
    heard = error_rates(["one two six"], ["one two six"])
    assert heard == {"wer": 0, "cer": 0, "sentence_accuracy": 1}
    too_long = [{"text": "one two six"}, {"text": "six two one"}]
    rates = error_rates(["one two six"], ["one two six"], too_long)
    assert rates == {
        "wer": pytest.approx(2 / 3),
        "cer": pytest.approx(2 / 3),
        "sentence_accuracy": pytest.approx(1 / 3),
    }
