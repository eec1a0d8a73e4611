"""Class → code → image on 5,000 real digits."""

from ml_collections import ConfigDict


def get_config(arg: str = "") -> ConfigDict:
    """The config; `arg` is `key=value` pairs: abstraction, prior, decoder, size."""
    choice = dict(
        abstraction="vq", prior="autoregressive", decoder="inverse", size="demo"
    )
    choice.update(pair.split("=") for pair in arg.split(",") if pair)
    return ConfigDict(
        dict(
            seed=0,
            task="class_to_image",
            data=dict(name="digits", dir=""),
            source=dict(name="identity"),
            abstraction=dict(
                name="autoencoder",
                widths=(32, 64),
                num_blocks=0,
                dtype="float32",
                quantizer=dict(name="vq", codes=128, dim=16),
            ),
            prior=dict(
                name="autoregressive",
                width=128,
                num_layers=3,
                num_heads=4,
                guidance=2.0,
                dropout=0.1,
            ),
            decoder=dict(name="inverse"),
            train=dict(
                judge=dict(steps=400, batch_size=64, learning_rate=2e-3),
                abstraction=dict(steps=1000, batch_size=64, learning_rate=2e-3),
                prior=dict(steps=1000, batch_size=64, learning_rate=2e-3),
            ),
            parallel=dict(strategy="sharded", data=-1, fsdp=1),
            checkpoint=dict(every=500, keep=2),
            log=dict(every=50),
            evaluate=dict(every=500, samples=1000, loop_samples=100, batch_size=250),
        )
    )
