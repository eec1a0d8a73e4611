"""What configs share: parsing of choices, sections, and the shrinking to `size=tiny`.

A config of your own, in any folder, starts with `from configs import common`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ml_collections import ConfigDict

PARTS = ("source", "abstraction", "prior", "decoder")
"""Choices that also take a part of your own, as `package.module:Class`."""

SPEECH = {
    "spoken_digits": (2.048, 32, "english"),
    "spoken_bible": (2.048, 40, "english"),
    "tuxpaint_spanish": (4.096, 64, "spanish"),
    "ljspeech": (10.24, 192, "english"),
}
"""Seconds and characters of the longest example of a data set, and its alphabet."""

TINY = {
    **{"width": 16, "widths": (4, 8), "temporal": (True, True), "judge_width": 16},
    **{"num_layers": 1, "encoder_layers": 1, "judge_layers": 1},
    **{"num_heads": 2, "segment": 4, "start": 10},
}
"""Options of any section at `size=tiny`."""

WAVE_LOSSES = ({"name": "spectral"}, {"name": "adversarial", "weight": 0.0})
"""Of a sound; a weight above 0 turns the adversary on."""


class Stage(NamedTuple):
    """Numbers of a stage's training."""

    steps: int
    batch_size: int
    learning_rate: float


class Scale(NamedTuple):
    """How the stages of a larger size differ.

    Attributes:
      steps: factor of the steps of each stage.
      batch_size: in place of that of each stage.
      slower: divisor of the learning rate of each stage.
    """

    steps: int
    batch_size: int
    slower: float


def parse_choices(
    arg: str,
    choices: Mapping[str, Sequence[str]],
    fitting: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
) -> dict[str, str]:
    """Parses the argument of a config, `key=value` pairs separated by commas.

    Args:
      arg: what follows the colon of `--config=file.py:…`.
      choices: values that each key can take, the default first.
      fitting: by `key=value`, the values of other keys that fit it, their default first,
        such as `{"abstraction=vq": {"decoder": ("inverse", "diffusion")}}`.

    Returns:
      The value of each key.

    Raises:
      ValueError: a key or value is unknown.
    """
    chosen = {}
    for pair in filter(None, arg.split(",")):
        key, _, value = pair.partition("=")
        if key not in choices:
            raise ValueError(f"no choice {key!r}: known are {', '.join(choices)}")
        if value not in choices[key] and not (key in PARTS and ":" in value):
            known = (*choices[key], *["or 'package.module:Class'"] * (key in PARTS))
            raise ValueError(f"{key} cannot be {value!r}: known are {', '.join(known)}")
        chosen[key] = value
    values = {key: options[0] for key, options in choices.items()} | chosen
    defaults = {}
    for key, value in values.items():
        fits = (fitting or {}).get(f"{key}={value}", {})
        defaults |= {other: options[0] for other, options in fits.items()}
    return values | defaults | chosen


def fitting(*groups: tuple[dict[str, Any], Sequence[str]]) -> dict[str, Any]:
    """Returns the choices that fit each abstraction, from (choices, abstractions)."""
    return {f"abstraction={name}": fits for fits, names in groups for name in names}


def make_config(
    size: str,
    sections: Mapping[str, Any],
    evaluate: Mapping[str, Any],
    tiny: Mapping[str, Any],
    checkpoint_every: int = 1000,
) -> ConfigDict:
    """Returns a config of some sections and those that all configs share.

    Args:
      size: the choice `size`; `tiny` shrinks the config.
      sections: task, data, source, abstraction, prior, decoder and train.
      evaluate: the section `evaluate`.
      tiny: arguments of `shrink`.
      checkpoint_every: steps between checkpoints.
    """
    config = {
        "seed": 0,
        **sections,
        "parallel": {"strategy": "sharded", "axes": {"data": -1, "fsdp": 1}},
        "cache": {"y_prime": "none"},
        "checkpoint": {"every": checkpoint_every, "keep": 2},
        "log": {"every": 50},
        "profile": {"steps": 0},
        "evaluate": dict(evaluate),
    }
    return ConfigDict(_unshare(shrink(config, **tiny) if size == "tiny" else config))


def sections(
    chosen: Mapping[str, str],
    task: str,
    data: Mapping[str, Any],
    parts: Mapping[str, Mapping[str, Mapping[str, Any]]],
    train: Mapping[str, Any],
) -> dict[str, Any]:
    """Returns the sections of a task, whose parts are those chosen.

    Args:
      chosen: the choice of each of `PARTS`, `identity` for one that has none.
      task: name of the task.
      data: options of the data set.
      parts: for each of `PARTS`, the options of its choices, see `part`.
      train: the section of each stage.
    """
    options = {
        key: part(chosen.get(key, "identity"), parts.get(key, {})) for key in PARTS
    }
    return {"task": task, "data": {**data, "dir": ""}, **options, "train": train}


def _unshare(value: Any) -> Any:
    """Copies each section, as one that stands in two places would be set in both."""
    if not isinstance(value, Mapping):
        return value
    return {key: _unshare(option) for key, option in value.items()}


def shrink(
    config: Mapping[str, Any],
    samples: int,
    batch_size: int = 8,
    keep: Sequence[str] = (),
    first: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Returns a config at `size=tiny`, whose stages train in seconds.

    Args:
      config: all sections.
      samples: examples of a report.
      batch_size: examples per step.
      keep: options that stay as they are, as `section.option`.
      first: by split, how many examples are read, where to read all takes minutes.
    """
    schedule = {"name": "warmup_cosine", "learning_rate": 1e-3, "warmup": 0.25}
    stage = training(20, batch_size, learning_rate=1e-3) | {"schedule": schedule}
    kept = ("optimizer", "generated")
    train = {
        n: stage | {key: s[key] for key in kept if key in s}
        for n, s in config["train"].items()
    }
    evaluate = {"every": 20, "samples": samples, "loop_samples": samples}
    if "evaluate.batch_size" not in keep:
        evaluate["batch_size"] = samples
    sections = {n: _shrink_options(section, n, keep) for n, section in config.items()}
    if first:
        splits = {name: f"{name}[:{number}]" for name, number in first.items()}
        sections["data"] = sections["data"] | {"splits": splits}
    return sections | {
        "train": train,
        "checkpoint": config["checkpoint"] | {"every": 20},
        "log": {"every": 5},
        "evaluate": config["evaluate"] | evaluate,
    }


def _shrink_options(value: Any, name: str, keep: Sequence[str]) -> Any:
    """Returns a section, and the sections in it, with the options that `TINY` names."""
    if isinstance(value, tuple):
        return tuple(_shrink_options(item, name, keep) for item in value)
    if not isinstance(value, Mapping):
        return value
    return {
        key: TINY[key]
        if key in TINY and f"{name}.{key}" not in keep
        else _shrink_options(option, key, keep)
        for key, option in value.items()
    }


def chorales(base: bool) -> dict[str, Any]:
    """Returns the options of the data set `chorales`."""
    return {
        "name": "chorales",
        "division": 4 if base else 2,
        "max_beats": 96 if base else 64,
        "transpose": 5,
    }


def speech(name: str) -> dict[str, Any]:
    """Returns the options of a data set of `SPEECH`."""
    seconds, characters, alphabet = SPEECH[name]
    return {
        "name": name,
        "alphabet": alphabet,
        "max_characters": characters,
        "max_seconds": seconds,
    }


def part(name: str, options: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the section of the part that a choice names.

    Args:
      name: the choice.
      options: by choice, the options of its part, with the part's `name` where it is not
        the choice's. A choice that is not there, such as a part of your own, has none.
    """
    return {"name": name, **options.get(name, {})}


def latent_queries(
    size: Mapping[str, Any], num_latents: int, bottleneck: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns the section of an autoencoder of token sequences.

    Args:
      size: of its transformers, as `generators.transformer` returns it.
      num_latents: codes per sequence.
      bottleneck: the section of its bottleneck.
    """
    return {
        "name": "autoencoder",
        "networks": {"name": "latent_queries", "num_latents": num_latents, **size},
        "bottleneck": dict(bottleneck),
        "losses": ({"name": "cross_entropy"},),
    }


def training(
    steps: int, batch_size: int, learning_rate: float, **options: Any
) -> dict[str, Any]:
    """Returns the section of a stage that AdamW trains by a warmup and a cosine.

    `options` are further ones of `StageOptions`.
    """
    return {
        "steps": steps,
        "batch_size": batch_size,
        "optimizer": {"name": "adamw"},
        "schedule": {"name": "warmup_cosine", "learning_rate": learning_rate},
        **options,
    }


def equal_stages(
    batch_size: int, learning_rate: float, **steps: int
) -> dict[str, Stage]:
    """Returns the numbers of stages that differ in their `steps` alone."""
    return {k: Stage(number, batch_size, learning_rate) for k, number in steps.items()}


def stages(
    table: Mapping[str, Stage],
    scale: Scale | None = None,
    without_source: Sequence[str] = (),
) -> dict[str, dict[str, Any]]:
    """Returns the section of each stage.

    Args:
      table: numbers of each stage.
      scale: how those of a larger size differ from them.
      without_source: stages that read Y alone, and so learn from the split `targets`,
        which also has examples without a source.
    """
    train = {}
    for name, stage in table.items():
        if scale:
            learning_rate = stage.learning_rate / scale.slower
            stage = Stage(scale.steps * stage.steps, scale.batch_size, learning_rate)
        train[name] = training(*stage)
        if name in without_source:
            train[name]["split"] = "targets"
    return train


def image_autoencoder(
    bottleneck: Any, base: bool, perceptual: bool = False, **networks: Any
) -> dict[str, Any]:
    """Returns the options of an autoencoder, with the losses of VQGAN if `perceptual`.

    `networks` are options of its networks, in place of those that are common.
    """
    size = {"widths": (128, 256) if base else (32, 64), "num_blocks": 2 if base else 0}
    adversarial = {
        **{"name": "adversarial", "weight": 0.5},
        "start": 5000 if base else 500,
        "discriminator": {"name": "patch", "widths": (64, 128) if base else (16, 32)},
        **{"generator": "linear", "feature_weight": 0.0, "adaptive": True},
    }
    losses = ({"name": "perceptual"}, adversarial) if perceptual else ()
    return {
        "name": "autoencoder",
        "networks": {"name": "conv2d", **size, "dtype": "float32", **networks},
        "bottleneck": bottleneck,
        "losses": ({"name": "squared_error"}, *losses),
    }


def wave_autoencoder(bottleneck: Any, base: bool, hop: int) -> dict[str, Any]:
    """Returns the options of an autoencoder of sound in frames of `hop` samples."""
    return {
        "name": "autoencoder",
        "networks": {"name": "vocos", **_vocos(base), "hop": hop, "stride": 2},
        "bottleneck": bottleneck,
        "losses": WAVE_LOSSES,
    }


def vocoder(base: bool) -> dict[str, Any]:
    """Returns the options of a generator of sound from its spectrogram."""
    return {"name": "adversarial", **_vocos(base), "segment": 32, "losses": WAVE_LOSSES}


def _vocos(base: bool) -> dict[str, int]:
    """Returns the size of networks of sound."""
    return {"width": 512, "num_layers": 8} if base else {"width": 192, "num_layers": 4}
