"""What is each cure of the gap between true and generated Y′ worth?

    python -m experiments.gap.run --workdir=runs/gap [--seeds=3]

Class → codes → digits, where the decoder is a model of its own. It is trained on true
codes and applied to those of the prior. Each cure alone, and all of them: tokens replaced
while the decoder trains (`source_noise`), tokens replaced in the input of the prior in
training (`input_noise`), and the decoder trained further on codes of the prior
(`finetune`). Beside them a decoder without cures that takes as many steps as with
`finetune`. What a cure does not touch is that of the baseline, so a run trains what
differs alone.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from experiments.study import Column, Row, Study, main

STEPS = {"prior": 600, "decoder": 600, "finetune": 200}
NOISE = {"train.decoder.source_noise": 0.1}
FLIPS = {"prior.input_noise": 0.1}


class Cure(NamedTuple):
    """A row of the study.

    Attributes:
      options: fields of the config that differ from the baseline's.
      taken: by stage, the row whose stage it is.
      finetune: whether the decoder is trained further.
    """

    options: Mapping[str, Any] = {}
    taken: Mapping[str, str] = {}
    finetune: bool = False


AUTOENCODER = {"abstraction": "baseline"}
PRIOR, DECODER = {"prior": "baseline"}, {"decoder": "baseline"}
CURES = {
    "baseline": Cure(),
    "longer decoder": Cure(
        {"train.decoder.steps": STEPS["decoder"] + STEPS["finetune"]},
        AUTOENCODER | PRIOR,
    ),
    "noise": Cure(NOISE, AUTOENCODER | PRIOR),
    "flips": Cure(FLIPS, AUTOENCODER | DECODER),
    "finetune": Cure({}, AUTOENCODER | PRIOR | DECODER, finetune=True),
    "all three": Cure(
        NOISE | FLIPS,
        AUTOENCODER | {"decoder": "noise", "prior": "flips"},
        finetune=True,
    ),
}
COLUMNS = (
    Column("judge's accuracy", "samples/accuracy", "{:.1%}"),
    Column("from true Y′", "true_y_prime/accuracy", "{:.1%}"),
    Column("gap", "gap/accuracy", "{:+.1%}"),
    Column("Fréchet distance", "samples/frechet", "{:.1f}", "samples/frechet_std"),
    Column("Fréchet from true Y′", "true_y_prime/frechet", "{:.1f}"),
    Column("Fréchet gap", "gap/frechet", "{:+.1f}"),
    Column("nats per token", "prior/nll", "{:.3f}"),
)


def row(title: str, cure: Cure) -> Row:
    """Returns the run of a cure."""
    steps = {
        f"train.{stage}.steps": number
        for stage, number in STEPS.items()
        if stage != "finetune" or cure.finetune
    }
    taken = {
        f"train.{stage}.init_from": f"{{{origin}}}"
        for stage, origin in cure.taken.items()
    }
    finetune = "yes" if cure.finetune else "no"
    return Row(
        title,
        f"digits.py:decoder=regression,finetune={finetune}",
        {"decoder.network.width": 64, **steps, **cure.options, **taken},
    )


STUDY = Study(
    "cures",
    tuple(row(title, cure) for title, cure in CURES.items()),
    COLUMNS,
    shared=("judge",),
)

if __name__ == "__main__":
    main(STUDY)
