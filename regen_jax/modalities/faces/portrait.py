"""Reads the identity of a face off one picture of it, with the mouth closed.

Colors are first those of places that each material covers in any face, lengths are areas
of fractions along strips that an edge crosses, and colors are then solved for exactly: a
picture is affine in them where the lengths are known.
"""

import jax
import jax.numpy as jnp

from regen_jax.modalities.faces import renderer
from regen_jax.modalities.faces.face import (
    CENTER,
    COLORS,
    GEOMETRY,
    SIZE,
    Identity,
)
from regen_jax.modalities.faces.inverse import (
    Pose,
    read_eye_distance,
    read_mouth,
    read_pose,
)
from regen_jax.modalities.faces.unmixing import material_fraction, window

_PLACES = {
    "background": ((0, 0, 4, 4), (0, 44, 4, 48)),
    "hair": ((6, 22, 9, 26),),
    "shirt": ((44, 20, 48, 28),),
    "skin": ((26, 16, 29, 19), (26, 29, 29, 32)),
}
"""Rectangles (top, left, bottom, right) of pixels that one material covers, in a face that
is seen from the front."""
_PASSES = 2
"""Each measures lengths with the colors of the one before."""
_RIDGE = 1e-3
"""Weight that keeps a color as it is where a picture does not show it."""


def read_identity(picture: jax.Array) -> Identity:
    """Returns the identity in pictures f32[B, SIZE, SIZE, 3] in [0, 255].

    Faces are as `renderer.render` draws them, with the mouth closed and near the front.
    """
    colors = _first_colors(picture)
    mean = jnp.array([(low + high) / 2 for low, high in GEOMETRY.values()])
    identity = Identity(jnp.broadcast_to(mean, (len(picture), len(mean))), colors)

    def refine(_: jax.Array, identity: Identity) -> Identity:
        pose = read_pose(identity, picture[:, None])
        identity = _measure_lengths(identity, picture, pose)
        return _solve_colors(identity, picture, pose)

    return jax.lax.fori_loop(0, _PASSES, refine, identity)


def _first_colors(picture: jax.Array) -> jax.Array:
    """Returns f32[B, 6, 3]: means of places, and guesses where parts are too small."""

    def color(name: str) -> jax.Array:
        if name == "lips":
            return 0.35 * color("skin") + 0.65 * jnp.array([190.0, 53.0, 71.0])
        if name == "iris":
            return jnp.full((len(picture), 3), 90.0)
        parts = [
            picture[:, top:bottom, left:right].reshape(len(picture), -1, 3)
            for top, left, bottom, right in _PLACES[name]
        ]
        return jnp.mean(jnp.concatenate(parts, axis=1), axis=1)

    return jnp.stack([color(name) for name in COLORS], axis=1)


def _measure_lengths(identity: Identity, picture: jax.Array, pose: Pose) -> Identity:
    """Measures the geometry of faces whose colors are about known."""
    color = renderer.materials(identity.colors)
    x, y = abs(jnp.arange(SIZE) - CENTER[0]), jnp.arange(SIZE)[:, None] - CENTER[1]

    def area(base: str, other: str, x_range, y_range) -> jax.Array:
        pair = (color[name][:, None, None] for name in (base, other))
        weights = material_fraction(picture, *pair) * window(x, y, x_range, y_range)
        return jnp.sum(weights, axis=(1, 2))

    height = 10.5 + area("neck", "skin", (-1, 1.5), (10.5, 16.4)) / 3
    hairline = -7.4 - area("hair", "skin", (-1, 1.5), (-13.2, -7.4)) / 3
    chord = area("hair", "skin", (-1, 12.4), (-4.3, -3.3)) / 2
    width = chord / jnp.sqrt(1 - (3.8 / height) ** 2)
    # How much of the sides is hair, in units of rows where they always are.
    beside, behind = (width + 1.5)[:, None, None], ("background", "hair")
    row_area = area(*behind, (beside, 30.0), (-4.5, -3.0)) / 1.5
    sides = area(*behind, (beside, 30.0), (-4.5, 17.0)) / (row_area + 1e-3)

    lengths = {
        "head_width": width,
        "head_height": height,
        "hairline": hairline,
        "hair_length": sides - 4.5,
        "eye_distance": read_eye_distance(identity, picture[:, None], pose)[:, 0],
        "mouth_size": identity.length("mouth_size"),
    }
    identity = identity._replace(geometry=_clip(lengths))
    x_radius, _, _ = read_mouth(identity, picture[:, None], pose, jnp.zeros((1, 1)))
    lengths["mouth_size"] = (x_radius[:, 0] - renderer.LIP) / renderer.MOUTH_X_RADIUS
    return identity._replace(geometry=_clip(lengths))


def _clip(lengths: dict[str, jax.Array]) -> jax.Array:
    """Returns lengths as a geometry f32[B, 6], within their ranges."""
    clipped = [jnp.clip(lengths[name], *bounds) for name, bounds in GEOMETRY.items()]
    return jnp.stack(clipped, axis=-1)


def _solve_colors(identity: Identity, picture: jax.Array, pose: Pose) -> Identity:
    """Solves for the colors that give the picture, by least squares over its pixels."""
    batch, number = len(picture), len(COLORS)
    tracks = (
        jnp.zeros((batch, 1, 7))
        .at[..., 4:]
        .set(
            jnp.stack(
                [
                    pose.x / renderer.YAW,
                    pose.y / renderer.PITCH,
                    pose.roll / renderer.ROLL,
                ],
                axis=-1,
            )
        )
    )

    # What each color adds to a pixel, in as many channels, and the picture they give now.
    units = jnp.broadcast_to(jnp.eye(number), (batch, number, number))
    parts = (
        renderer.materials(units, 0.0),
        renderer.materials(identity.colors),
    )
    materials = {
        name: jnp.concatenate(
            [
                jnp.broadcast_to(part[name], (batch, part[name].shape[-1]))
                for part in parts
            ],
            axis=-1,
        )
        for name in parts[0]
    }
    frame = renderer.composite(identity.geometry, tracks, materials)
    frame = frame.reshape(batch, SIZE * SIZE, -1)
    basis, drawn = frame[..., :number], frame[..., number:]
    residual = picture.reshape(batch, -1, 3) - drawn
    gram = jnp.einsum("bpk,bpl->bkl", basis, basis) + _RIDGE * jnp.eye(number)
    right = jnp.einsum("bpk,bpc->bkc", basis, residual)
    colors = identity.colors + jnp.linalg.solve(gram, right)
    return identity._replace(colors=jnp.clip(colors, 0, 255))
