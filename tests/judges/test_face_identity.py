import jax
import numpy as np
import pytest

from regen_jax.judges.face_identity import FaceIdentity, _random_frames
from regen_jax.spaces import Array, Padded, Record

PICTURE = Array((16, 16, 3), 0.0, 255.0, step=1.0)
JUDGE = FaceIdentity(
    Record((("picture", PICTURE),)),
    Array((5, 16, 16, 3), 0.0, 255.0, padded=True, step=1.0),
    width=8,
    dim=4,
)


@pytest.fixture(scope="module")
def batch():
    """Clips of one color each, which pictures share, as x, y and keys."""
    colors = np.random.RandomState(0).randint(0, 256, (4, 1, 1, 1, 3))
    clips = np.broadcast_to(colors, (4, 5, 16, 16, 3)).astype(np.uint8)
    y = Padded(clips, np.array([5, 3, 1, 2], np.int32))
    return {"picture": clips[:, 0]}, y, jax.random.split(jax.random.key(0), 4)


def test_loss_is_the_symmetric_cross_entropy_of_cosines(batch):
    x, y, keys = batch
    variables = jax.jit(JUDGE.init)(jax.random.key(1), x, y)
    output = jax.jit(JUDGE.loss, static_argnums=4)(variables, keys, x, y, False)
    vectors = JUDGE.embed(variables, x["picture"])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=-1), 1, atol=1e-5)
    # Frames equal pictures, so that both directions are the same.
    logits = 10 * vectors @ vectors.T
    expected = np.log(np.exp(logits).sum(axis=-1)) - np.diag(logits)
    np.testing.assert_allclose(output.loss, expected, atol=1e-4)
    assert output.metrics["top1"].tolist() == [1] * 4


def test_random_frames_are_before_the_length():
    clips = np.broadcast_to(np.arange(5)[None, :, None], (4, 5, 1))
    length = np.array([5, 3, 1, 2], np.int32)
    drawn = [
        np.asarray(
            _random_frames(jax.random.split(jax.random.key(seed), 4), clips, length)
        )[:, 0]
        for seed in range(20)
    ]
    assert (np.max(drawn, axis=0) == length - 1).all()
    assert np.min(drawn) == 0
