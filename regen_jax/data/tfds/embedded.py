"""Data sets that this package builds from files shipped in Python packages."""

import functools
import importlib

import tensorflow_datasets as tfds

BUILDERS = {
    "chorales": "regen_jax.data.chorales:Chorales",
    "digits": "regen_jax.data.digits:Digits",
    "folk_tunes": "regen_jax.data.folk_tunes:FolkTunes",
    "pronunciations": "regen_jax.data.pronunciations:Pronunciations",
    "simple_bible": "regen_jax.data.simple_bible:SimpleBible",
    "spoken_bible": "regen_jax.data.spoken_bible:SpokenBible",
    "spoken_digits": "regen_jax.data.spoken_digits:SpokenDigits",
    "tuxpaint_spanish": "regen_jax.data.tuxpaint:TuxpaintSpanish",
}
"""`module:Builder` by the name of the set."""


def builder(name: str) -> type[tfds.core.GeneratorBasedBuilder]:
    """The builder class of a set; its module is imported only now."""
    module, builder = BUILDERS[name].split(":")
    return getattr(importlib.import_module(module), builder)


@functools.cache
def version(name: str) -> str:
    """Returns the version that the builder of a set prepares, the only one read."""
    return str(builder(name).VERSION)
