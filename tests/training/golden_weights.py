"""Weights of golden tests: each leaf is drawn from the path it had when they were recorded.

So the weights stay when leaves are renamed, stacked or reshaped. `MOVED` says where a
leaf was: for each pattern of paths that no longer are as recorded, what stood there. All
that match are replaced, in order. `{layer}` in a replacement is an index into the leaf's
first axis, and `{layer+2}` that index plus 2: such a leaf is a stack of leaves as they
were. With

    (r"/blocks/", "/blocks_{layer}/")

a kernel `prior/params/blocks/qkv/kernel` [2, W, 3, heads, D] is the stack of
`prior/params/blocks_0/qkv/kernel` [W, 3 W] and that of `blocks_1`, reshaped. Numbers of a
leaf keep their row-major order: a new layout that also transposes axes is no entry here.
"""

import math
import re
import zlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

Moved = Sequence[tuple[str, str]]

MOVED: Moved = (
    # Parts of generators of arrays, alone, in a pipeline and in `duration_aligned`.
    (r"/generator/(?=conditioning/|network/|time_)", "/"),
    (r"^(\w+/params(?:/prior|/decoder)?)/network/", r"\1/dit/"),
    (r"^(\w+/params(?:/prior|/decoder)?)/conditioning/embed/", r"\1/embed_source/"),
    (r"^(\w+/params(?:/prior|/decoder)?)/conditioning/null$", r"\1/null"),
    # Autoencoders.
    (r"/ConvNeXt_0/layers/", "/ConvNeXt_0/ConvNeXtBlock_{layer}/"),
    (r"/(encoder|decoder)/level_0/", r"/\1/ResidualBlock_{layer}/"),
    (r"/(encoder|decoder)/level_1/", r"/\1/ResidualBlock_{layer+2}/"),
    (r"/losses/adversarial/", "/discriminators/"),
    # A transformer over tokens, and its encoder of the source.
    (r"/source_encoder/embed/", "/embed_source/"),
    (r"/source_encoder/norm/", "/encoder_norm/"),
    (r"/source_encoder/layers/", "/encoder_{layer}/"),
    (r"^(\w+/params(?:/prior|/decoder)?)/layers/", r"\1/blocks_{layer}/"),
    (r"/self_attention/", "/"),
    (r"/cross_attention/", "/cross_"),
    (r"/conditioning/start", "/start"),
    (r"/conditioning/project/", "/lay_out/"),
    (r"/head/(query|key|gate)/", r"/pointer/\1/"),
    (r"/head/writer/", "/head/"),
    # Latent queries, DiT, and encoders of tokens aligned to frames.
    (r"/layers/", "/block_{layer}/"),
    (r"/convolution/", "/"),
    (r"/duration_encoder/", "/encoder/"),
)

_SCALES = {
    # Of thousands of numbers in: with more, rounding decides steps of the judge of digits.
    "features/kernel": 0.02,
    "kernel": 0.15,
    "embedding": 0.3,
    "codes": 0.5,
    "sums": 0.5,
}
"""Deviations of leaves by how their paths end, and 0.1 of others."""
_LAYER = re.compile(r"\{layer(?:\+(\d+))?\}")


def old_paths(path: str, shape: Sequence[int], moved: Moved = MOVED) -> dict[str, int]:
    """Returns the recorded paths of the leaves that a leaf consists of, and their sizes."""
    for pattern, replacement in moved:
        path = re.sub(pattern, replacement, path)
    size = math.prod(shape)
    if not _LAYER.search(path):
        return {path: size}

    def of_layer(layer: int) -> str:
        return _LAYER.sub(lambda match: str(layer + int(match[1] or 0)), path)

    return {of_layer(layer): size // shape[0] for layer in range(shape[0])}


def draw(path: str, size: int) -> np.ndarray:
    """Returns f32[size] for a recorded path; its end names the distribution."""
    rng = np.random.default_rng(zlib.crc32(path.encode()))
    values = rng.standard_normal(size)
    name = path.rpartition("/")[2]
    if name == "scale":
        values = 1 + 0.1 * values
    elif name == "counts":
        # Positive, and so small for some codes that those are revived.
        values = np.square(values)
    else:
        scales = (scale for end, scale in _SCALES.items() if path.endswith(end))
        values = next(scales, 0.1) * values
    return values.astype(np.float32)


def fill(stage: str, shapes: Any, moved: Moved = MOVED) -> Any:
    """Returns the variables of a stage, drawn leaf by leaf; those of integers are 0.

    Args:
      stage: where paths begin.
      shapes: its variables, or their shapes and dtypes.
      moved: see above.
    """

    def drawn(key_path: Any, leaf: Any) -> np.ndarray:
        if not np.issubdtype(leaf.dtype, np.floating):
            return np.zeros(leaf.shape, leaf.dtype)
        path = _joined(stage, key_path)
        parts = [draw(*part) for part in old_paths(path, leaf.shape, moved).items()]
        return np.concatenate(parts).reshape(leaf.shape).astype(leaf.dtype)

    return jax.tree_util.tree_map_with_path(drawn, shapes)


def recorded_leaves(stage: str, shapes: Any, moved: Moved = MOVED) -> list:
    """Returns (path, size) of each recorded leaf that `fill` draws, in order of paths."""
    leaves = []
    for key_path, leaf in jax.tree_util.tree_leaves_with_path(shapes):
        if np.issubdtype(leaf.dtype, np.floating):
            path = _joined(stage, key_path)
            leaves += old_paths(path, leaf.shape, moved).items()
    return sorted(leaves)


def _joined(stage: str, key_path: Any) -> str:
    return f"{stage}/{jax.tree_util.keystr(key_path, simple=True, separator='/')}"
