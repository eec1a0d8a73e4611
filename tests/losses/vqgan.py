"""The adversarial loss of VQGAN on small images."""

from regen_jax.losses.adversarial import Adversarial
from regen_jax.networks.discriminators.patch import Patch

ADVERSARY = Adversarial(
    weight=0.8,
    start=1,
    discriminator=Patch((4, 8)),
    generator="linear",
    feature_weight=0.0,
    adaptive=True,
)
