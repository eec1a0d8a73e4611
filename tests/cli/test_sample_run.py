"""Sampling options in place of those of the config."""

from regen_jax.cli.sample_run import set_options


def test_option_of_a_generator_within_is_set_there():
    section = {"name": "duration_aligned", "generator": {"name": "diffusion"}}
    sampling = {"generator.guidance", "generator.num_steps"}
    changed = set_options(section, {"guidance": 3.0, "temperature": 1.0}, sampling)
    assert changed == {
        "name": "duration_aligned",
        "generator": {"name": "diffusion", "guidance": 3.0},
        "temperature": 1.0,
    }
    assert section["generator"] == {"name": "diffusion"}
