"""A config, which lies in a folder of its own."""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """Returns a run of two steps per stage, all of whose parts are outside parts."""
    stage = {
        "steps": 2,
        "batch_size": 4,
        "optimizer": {"name": "own_parts.sign_descent:SignDescent"},
        "schedule": {"name": "own_parts.halving:Halving", "learning_rate": 0.01},
    }
    return ConfigDict(
        {
            "seed": 0,
            "task": "own_parts.column_to_bars:ColumnToBars",
            "data": {"dir": "data"},
            "source": {"name": "own_parts.one_hot:OneHot"},
            "abstraction": {
                "name": "autoencoder",
                "networks": {"name": "own_parts.dense_rows:DenseRows"},
                "bottleneck": {"name": "own_parts.bounded_latents:BoundedLatents"},
                "losses": ({"name": "own_parts.absolute_error:AbsoluteError"},),
            },
            "prior": {"name": "own_parts.affine:Affine", "scale": 0.1},
            "decoder": {"name": "inverse"},
            "train": {name: stage for name in ("judge", "abstraction", "prior")},
            "parallel": {},
            "checkpoint": {},
            "log": {},
            "evaluate": {"loop_samples": 3, "batch_size": 3},
        }
    )
