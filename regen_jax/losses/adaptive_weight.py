"""Weights of adversarial losses by gradients at the decoder's last layer.

Esser, Rombach and Ommer, "Taming Transformers for High-Resolution Image Synthesis"
(VQGAN, arXiv 2012.09841), equation 7; clipped as in their code.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict

from regen_jax.loss_output import global_mean

LastLayer = Callable[[jax.Array], jax.Array]
"""From the gradient of a loss by the prediction to that by the last layer's kernel."""

_DELTA = 1e-6
_LARGEST = 1e4


def predict_with_last_layer(
    predict: Callable[[Any], jax.Array], params: Any, path: tuple[str, ...]
) -> tuple[jax.Array, LastLayer]:
    """Returns `predict(params)`, and its derivative by the kernel at `path`, transposed.

    The prediction has its gradients to all parameters as ever.
    """
    leaves = flatten_dict(params)

    def predict_by(kernel: jax.Array) -> jax.Array:
        return predict(unflatten_dict({**leaves, path: kernel}))

    prediction, pull_back = jax.vjp(predict_by, leaves[path])
    return prediction, lambda gradient: pull_back(gradient)[0]


def adaptive_weight(
    last_layer: LastLayer,
    reconstruction_loss: Callable[[jax.Array], jax.Array],
    adversarial_loss: Callable[[jax.Array], jax.Array],
    prediction: jax.Array,
) -> jax.Array:
    """Returns |∇ reconstruction| / (|∇ adversarial| + δ) in [0, 1e4], f32[].

    Gradients are those of the losses of the global batch, by the last layer: means over
    devices are taken before the norms, so that the weight does not depend on how a batch
    is split over them. With micro-batches each has a weight of its own.

    Args:
      last_layer: that made the prediction.
      reconstruction_loss: a mean over a batch of predictions, f32[].
      adversarial_loss: likewise.
      prediction: [B, ...].
    """
    prediction = jax.lax.stop_gradient(prediction)
    gradients = [
        last_layer(jax.grad(loss)(prediction))
        for loss in (reconstruction_loss, adversarial_loss)
    ]
    reconstruction, adversarial = (
        jnp.sqrt(jnp.sum(jnp.square(gradient))) for gradient in global_mean(gradients)
    )
    weight = jnp.clip(reconstruction / (adversarial + _DELTA), 0, _LARGEST)
    return jax.lax.stop_gradient(weight)
