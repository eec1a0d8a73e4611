"""Collectives of compiled programs, against those that were written."""

import functools

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import AxisType, PartitionSpec

from regen_jax.training.inspect.collectives import Collective, collectives

ROWS = PartitionSpec("i")


def compiled(function, out=ROWS, axes=(8,), x=(64, 4)):
    """The text of a program over 8 devices, that each run the function on its rows."""
    names = ("i", "j")[: len(axes)]
    mesh = jax.make_mesh(axes, names, axis_types=(AxisType.Auto,) * len(axes))
    mapped = jax.shard_map(
        function, mesh=mesh, in_specs=ROWS, out_specs=out, check_vma=False
    )
    return jax.jit(mapped).lower(jnp.zeros(x)).compile().as_text()


# Each device has 8 rows of 4 numbers, 128 bytes, but where there are two axes.
@pytest.mark.parametrize(
    "function, out, axes, expected",
    [
        (
            lambda x: jax.lax.psum(x, "i"),
            PartitionSpec(),
            (8,),
            Collective("all-reduce", 128, 1, 8),
        ),
        (
            lambda x: jax.lax.psum(x, "i"),
            PartitionSpec(),
            (2, 4),
            Collective("all-reduce", 512, 1, 2),
        ),
        (
            lambda x: jax.lax.psum(x, "j"),
            ROWS,
            (2, 4),
            Collective("all-reduce", 512, 1, 4),
        ),
        (
            lambda x: jax.lax.all_gather(x, "i", tiled=True),
            PartitionSpec(),
            (8,),
            Collective("all-gather", 1024, 1, 8),
        ),
        (
            lambda x: jax.lax.psum_scatter(x, "i", tiled=True),
            ROWS,
            (8,),
            Collective("reduce-scatter", 128, 1, 8),
        ),
        (
            lambda x: jax.lax.all_to_all(x, "i", 0, 0, tiled=True),
            ROWS,
            (8,),
            Collective("all-to-all", 128, 1, 8),
        ),
        (
            lambda x: jax.lax.ppermute(x, "i", [(i, (i + 1) % 8) for i in range(8)]),
            ROWS,
            (8,),
            Collective("collective-permute", 128, 1, 8),
        ),
        (
            lambda x: jax.lax.fori_loop(
                0, 5, lambda _, x: jnp.tanh(jax.lax.psum(x, "i")), x
            ),
            PartitionSpec(),
            (8,),
            Collective("all-reduce", 128, 5, 8),
        ),
        (
            lambda x: jax.lax.cond(
                x[0, 0] > 1, functools.partial(jax.lax.psum, axis_name="i"), jnp.tanh, x
            ),
            ROWS,
            (8,),
            Collective("all-reduce", 128, 1, 8),
        ),
    ],
    ids=[
        "all",
        "groups",
        "strided",
        "gather",
        "scatter",
        "all-to-all",
        "permute",
        "loop",
        "branch",
    ],
)
def test_collectives_of_a_program_are_counted(function, out, axes, expected):
    assert collectives(compiled(function, out, axes), 8) == (expected,)


# As the compilers for accelerators write them: started, and done later.
ASYNCHRONOUS = """HloModule jit_step, is_scheduled=true

%add (x: f32[], y: f32[]) -> f32[] {
  ROOT %sum = f32[] add(%x, %y)
}

%scatter (p: bf16[64,8]) -> bf16[16,8] {
  ROOT %rs = bf16[16,8]{1,0} reduce-scatter(%p), replica_groups=[2,4]<=[8], to_apply=%add
}

%body (state: (s32[], f32[16])) -> (s32[], f32[16]) {
  %g = (f32[4]{0}, f32[16]{0}) all-gather-start(%x), replica_groups={{0,1,2,3},{4,5,6,7}}
  %gd = f32[16]{0} all-gather-done(%g)
  ROOT %t = (s32[], f32[16]) tuple(%i, %gd)
}

ENTRY %main.1 (a: f32[16], b: bf16[64,8]) -> f32[16] {
  %r = (f32[16]{0:T(128)}, /*index=1*/pred[3]{0}) all-reduce-start(%a, %c), replica_groups={}, to_apply=%add
  %rd = (f32[16]{0:T(128)}, pred[3]{0}) all-reduce-done(%r)
  %s = ((bf16[64,8]{1,0}), bf16[16,8]{1,0}) async-start(%b), calls=%scatter
  %sd = bf16[16,8]{1,0} async-done(%s)
  %p = (f32[16]{0}, f32[16]{0}, u32[], u32[]) collective-permute-start(%a), source_target_pairs={{0,1}}
  %w = (s32[], f32[16]) while(%init), condition=%cond, body=%body, backend_config={"known_trip_count":{"n":"3"}}
  %m = ((f32[4], f32[2]), (f32[16], f32[8])) all-gather-start(%u, %v), replica_groups=mesh['a'=2,'b'=2,'c'=2], device_ids=([4,2]T(1,0)) {'a','c'}, dimensions={0}
  ROOT %out = f32[16]{0} fusion(%w), kind=kLoop, calls=%fused
}
"""  # noqa: E501


def test_asynchronous_collectives_count_once():
    assert set(collectives(ASYNCHRONOUS, 8)) == {
        Collective("reduce-scatter", 1024, 1, 4),
        Collective("all-gather", 64, 3, 4),
        Collective("all-reduce", 67, 1, 8),
        Collective("collective-permute", 64, 1, 8),
        Collective("all-gather", 96, 1, 4),
    }


@pytest.mark.parametrize(
    "kind, sent",
    [
        ("all-reduce", 2 * 3 * 600),
        ("all-gather", 3 * 600),
        ("reduce-scatter", 3 * 600),
        ("all-to-all", 3 * 600),
        ("collective-permute", 3 * 800),
    ],
)
def test_ring_of_four_devices_sends_closed_form(kind, sent):
    assert Collective(kind, 800, 3, 4).sent == sent


def test_single_device_sends_nothing():
    assert Collective("all-reduce", 800, 3, 1).sent == 0
    assert collectives(compiled(jnp.tanh), 8) == ()
