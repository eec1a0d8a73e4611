"""Arguments of runs as functions that are none, or of other types."""

import functools

import numpy as np
import pytest

from regen_jax.cli.evaluate_run import evaluate_run
from regen_jax.cli.sample_run import Samples, check_options, sample_run, save_samples
from regen_jax.cli.train_run import train_run
from regen_jax.errors import UserError
from regen_jax.media.media import Media

NUM = r"num must be in \[1, 1000000\], not"
SEED = "seed must be in"
PROMPTS = "prompts must be a list of pairs of a kind and a value"
Y_PRIME = "y_prime must be a list of paths"


@pytest.mark.parametrize(
    "arguments, words",
    [
        *(({"num": num}, NUM) for num in (0, -1, 10**9)),
        ({"num": 10**12}, "num must be at most 2147483647 in size"),
        *(({"num": num}, "num must be of type int") for num in (2.5, "3", None, True)),
        ({"seed": -1}, SEED),
        ({"seed": 2**40}, "seed must be at most 2147483647 in size"),
        *(({"seed": seed}, "seed must be of type int") for seed in (1.5, "a", None)),
        *(
            ({"prompts": prompts}, PROMPTS)
            for prompts in (None, "text", ["text"], [("text",)], [("text", 3)], [3])
        ),
        *(({"y_prime": files}, Y_PRIME) for files in (None, "a.txt", [3])),
        ({"options": ["guidance"]}, "options must be values by name, or None"),
    ],
)
def test_argument_of_sample_run_out_of_range_raises_user_error(
    tmp_path, arguments, words
):
    with pytest.raises(UserError, match=words):
        sample_run(tmp_path, **arguments)


@pytest.mark.parametrize("name", ["width", "temprature", 3])
def test_option_that_is_not_of_sampling_raises_user_error(name):
    with pytest.raises(UserError, match="no sampling option .* there are guidance"):
        check_options({name: 1.0}, {"generator.guidance"})
    check_options({"guidance": 1.0, "generator.guidance": 2.0}, {"generator.guidance"})


@pytest.mark.parametrize("split", ["foo", "train", None])
def test_unknown_split_of_evaluate_run_raises_user_error(tmp_path, split):
    with pytest.raises(UserError, match="split must be 'validation' or 'test', not"):
        evaluate_run(tmp_path, split)


@pytest.mark.parametrize("directory", [None, 3, b"x", ""])
@pytest.mark.parametrize(
    "run", [functools.partial(train_run, {}), sample_run, evaluate_run]
)
def test_folder_that_is_no_path_raises_user_error(run, directory):
    with pytest.raises(UserError, match="--workdir must be the path of a folder"):
        run(directory)


def test_samples_are_saved_in_a_folder_named_by_text(tmp_path):
    media = Media(texts={"verse": "a"})
    samples = Samples(None, [1], [2], media)
    files = save_samples(samples, f"{tmp_path}/new/folder", 0)
    assert files == ["samples.npz", "verse.md"]
    (path,) = media.save(f"{tmp_path}/other/folder")
    assert path.read_text() == "a\n"


def test_full_disk_leaves_former_samples_whole(tmp_path, full_disk):
    save_samples(Samples(None, [1], [2], Media()), tmp_path, 0)
    former = (tmp_path / "samples.npz").read_bytes()
    large = Samples(None, [1], np.zeros(10_000), Media())
    with full_disk(2000), pytest.raises(UserError, match="--out=.* cannot be written"):
        save_samples(large, tmp_path, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["samples.npz"]
    assert (tmp_path / "samples.npz").read_bytes() == former
