"""Values per example add up to the metrics of the set."""

import numpy as np
import pytest

from regen_jax.interfaces import Generated
from regen_jax.judges.image_classifier import ImageClassifier
from regen_jax.judges.speech_recognizer import SpeechRecognizer
from regen_jax.spaces import Padded
from regen_jax.tasks.class_to_image import ClassToImage
from regen_jax.tasks.speech_recognition import SpeechRecognition
from regen_jax.tasks.speech_synthesis import SpeechSynthesis
from regen_jax.tasks.transcripts import error_rates

TEXTS = ["let there be light", "and it was so", "jesus wept"]
HEARD = ["let their be light", "and it was", "jesus wept"]
TOO_LONG = ({"text": "in the beginning"},)


@pytest.mark.parametrize("task", [SpeechRecognition(), SpeechSynthesis()], ids=type)
def test_errors_per_text_add_up_to_the_rates(task, monkeypatch):
    spoken, heard = (np.stack([*map(task.encode, texts)]) for texts in (TEXTS, HEARD))
    if isinstance(task, SpeechRecognition):
        prompts, y = {"y": spoken}, heard
    else:
        prompts, y = {"x": spoken}, Padded(np.zeros((3, 8)), np.full(3, 8))
        monkeypatch.setattr(
            SpeechRecognizer, "transcribe", lambda self, variables, y: heard
        )
    columns = task.per_example({"judge": {}}, Generated(prompts, y, TOO_LONG))
    assert columns["reference"] == [*TEXTS, "in the beginning"]
    assert columns["output"] == [*HEARD, ""]
    rates = error_rates(columns["reference"], columns["output"])
    assert set(rates) == set(columns) - {"reference", "output"}
    for name, rate in rates.items():
        counted, length = columns[name].sum(axis=0)
        assert counted / length == pytest.approx(rate)
    assert columns["wer"].tolist() == [[1, 4], [1, 4], [0, 2], [3, 3]]


def test_hits_per_image_add_up_to_the_accuracy(digits_dir, monkeypatch):
    seen = np.array([3, 1, 4, 1])
    monkeypatch.setattr(
        ImageClassifier, "predict", lambda self, variables, y: (seen, None)
    )
    y = np.zeros((4, 28, 28, 1), np.uint8)
    prompts = {"x": np.array([3, 1, 4, 2])}
    columns = ClassToImage(dir=digits_dir).per_example(
        {"judge": {}}, Generated(prompts, y)
    )
    assert columns["class"] == ["3", "1", "4", "2"]
    assert columns["accuracy"].tolist() == [[1, 1], [1, 1], [1, 1], [0, 1]]
