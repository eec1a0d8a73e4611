"""Model FLOPs against products counted by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.interfaces import LossOutput
from regen_jax.training.inspect.flops import model_flops, num_parameters, training_flops
from regen_jax.training.stage import Stage, StageOptions
from regen_jax.training.step import create

BATCH, IN, CODE, OUT = 8, 6, 5, 4
ENCODER = 2 * BATCH * IN * CODE
DECODER = 2 * BATCH * CODE * OUT
SQUARE = 2 * BATCH * OUT * OUT

FROZEN = {"encoder": {"kernel": np.zeros((IN, CODE), np.float32)}}
DATA = {"x": np.zeros((BATCH, IN), np.float32), "y": np.zeros((BATCH, OUT), np.float32)}


def flops(function, count=model_flops, arguments=()):
    """FLOPs of a loss whose prediction is a function of (params, code)."""

    def init(rng, batch):
        return {"params": {"kernel": jnp.zeros((CODE, OUT)), "square": jnp.eye(OUT)}}

    def loss(variables, frozen, keys, batch, train):
        code = batch["x"] @ frozen["encoder"]["kernel"]
        prediction = function(variables["params"], code)
        return LossOutput(jnp.square(prediction - batch["y"]).mean(axis=1))

    stage = Stage("toy", init, loss)
    shapes = jax.eval_shape(
        lambda: create(stage, StageOptions(), jax.random.key(0), DATA)
    )
    return count(stage, *arguments, shapes, FROZEN, DATA)


def predicted(params, code):
    return code @ params["kernel"] @ params["square"]


def looped(params, code):
    def body(y, _):
        return jnp.tanh(y @ params["square"]), None

    return jax.lax.scan(body, code @ params["kernel"], None, length=7)[0]


def stopped(params, code):
    y = code @ params["kernel"]
    return y + jax.lax.stop_gradient(y @ params["square"])


def chosen(params, code):
    y = code @ params["kernel"]
    return y + jnp.argmax(y @ params["square"], axis=-1)[:, None]


def branched(params, code):
    y = code @ params["kernel"]

    def square(y):
        return y @ params["square"]

    return jax.lax.cond(code.sum() > 0, square, lambda y: square(square(y)), y)


def counted_until(params, code):
    def body(carry):
        step, y = carry
        return step + 1, y @ params["square"]

    y = jax.lax.stop_gradient(code @ params["kernel"])
    return jax.lax.while_loop(lambda carry: carry[0] < 3, body, (0, y))[1]


@pytest.mark.parametrize(
    "function, expected",
    [
        (predicted, ENCODER + 3 * (DECODER + SQUARE)),
        (jax.jit(predicted), ENCODER + 3 * (DECODER + SQUARE)),
        (jax.checkpoint(predicted), ENCODER + 3 * (DECODER + SQUARE)),
        (looped, ENCODER + 3 * (DECODER + 7 * SQUARE)),
        (stopped, ENCODER + 3 * DECODER + SQUARE),
        (jax.jit(stopped), ENCODER + 3 * DECODER + SQUARE),
        (chosen, ENCODER + 3 * DECODER + SQUARE),
        (branched, ENCODER + 3 * (DECODER + 2 * SQUARE)),
        (counted_until, ENCODER + DECODER + 3 * SQUARE),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_products_with_a_backward_pass_count_three_times(function, expected):
    assert flops(function) == expected


def test_convolutions_and_transforms_count_by_definition():
    def convolved(params, code):
        images = jnp.broadcast_to(code[:, :, None, None], (BATCH, CODE, 3, 2))
        kernel = jnp.broadcast_to(params["square"][:3, :3, None, None], (3, 3, 2, 4))
        strided = jax.lax.conv_general_dilated(
            images, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        wider = jax.lax.conv_transpose(strided, jnp.ones((2, 2, 4, 3)), (2, 2), "SAME")
        waves = jnp.fft.rfft(wider.reshape(BATCH, -1)[:, :64])
        return jnp.abs(waves)[:, :OUT]

    strided = 2 * (BATCH * CODE * 3 * 4) * (3 * 3 * 2)
    # Each of the inputs of the second meets each number of its kernel.
    wider = 2 * (BATCH * CODE * 3 * 4) * (2 * 2 * 3)
    transform = 2.5 * BATCH * 64 * 6
    assert flops(convolved) == ENCODER + 3 * (strided + wider + transform)


def test_training_flops_are_those_of_all_steps():
    actual = flops(
        predicted, training_flops, [StageOptions(steps=50, batch_size=BATCH)]
    )
    assert actual == 50 * flops(predicted)


def test_parameters_are_counted_in_arrays_and_shapes():
    tree = {"a": np.zeros((3, 4)), "b": [jax.ShapeDtypeStruct((5,), np.float32)]}
    assert num_parameters(tree) == 17 and num_parameters({}) == 0
