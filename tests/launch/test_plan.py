from pathlib import Path

import pytest

from launch.algebra import chain, config_choice, grid, names, product
from launch.configured import Configured, flags_of
from launch.plan import needed, plan, share, stage_keys, topological_levels, with_shared
from regen_jax.errors import UserError

WORKDIR = Path("/runs/x")


def configured(sweep, stages=("judge", "abstraction", "prior"), **fields):
    """The runs of a sweep on a config that is made here, without building anything."""
    runs = []
    for name, overrides in zip(names(sweep), sweep, strict=True):
        config = {
            "seed": 0,
            "task": "images",
            "data": {"name": "digits"},
            "parallel": {"fsdp": 1},
            "log": {"every": 1},
            "source": {"name": "identity"},
            "abstraction": {"name": overrides.get(":abstraction", "vq")},
            "decoder": {"name": "inverse"},
            "prior": {"width": 1},
            "train": {stage: {"steps": 7} for stage in stages},
        }
        for field, value in {**fields, **overrides}.items():
            *path, last = field.replace("__", ".").removeprefix(":").split(".")
            section = config
            for part in path:
                section = section[part]
            if not field.startswith(":"):
                section[last] = value
        flags = flags_of("config.py", overrides, [])
        steps = {stage: config["train"][stage]["steps"] for stage in stages}
        runs.append(Configured(name, overrides, tuple(flags), config, steps))
    return runs


def outline(trainings):
    return {t.name: (t.stop_after and t.stop_after[0], t.needs) for t in trainings}


def taken(training):
    """Where a training takes stages from, by stage."""
    pairs = [flag.split("=", 1) for flag in training.flags if "init_from" in flag]
    return {name.split(".")[2]: path for name, path in pairs}


def test_stages_with_same_users_are_trained_together():
    trainings = plan(configured(grid("prior.width", 1, 2)), WORKDIR)
    assert outline(trainings) == {
        "shared/abstraction": ("abstraction", ()),
        "width=1": (None, ("shared/abstraction",)),
        "width=2": (None, ("shared/abstraction",)),
    }
    assert trainings[0].stop_after == ("abstraction", 7)
    assert trainings[0].users == ("width=1", "width=2") and taken(trainings[0]) == {}
    for run in trainings[1:]:
        assert taken(run) == dict.fromkeys(
            ("judge", "abstraction"), "/runs/x/shared/abstraction"
        )


def test_every_branch_of_sweep_shares_equal_stages():
    sweep = product(
        config_choice("abstraction", "vq", "fsq"), grid("prior.width", 1, 2)
    )
    trainings = plan(configured(sweep), WORKDIR)
    names_of_levels = [
        [t.name for t in level] for level in topological_levels(trainings)
    ]
    vq, fsq = (f"shared/abstraction,abstraction={name}" for name in ("vq", "fsq"))
    assert names_of_levels == [["shared/judge"], [vq, fsq], names(sweep)]
    assert taken(trainings[1]) == {"judge": "/runs/x/shared/judge"}
    assert taken(trainings[-1]) == {
        "judge": "/runs/x/shared/judge",
        "abstraction": f"/runs/x/{fsq}",
    }


def test_stage_of_single_run_is_not_shared():
    trainings = plan(configured(config_choice("abstraction", "vq", "fsq")), WORKDIR)
    assert list(outline(trainings)) == [
        "shared/judge",
        "abstraction=vq",
        "abstraction=fsq",
    ]
    assert plan(configured(grid("seed", 0, 1)), WORKDIR)[0].needs == ()
    assert len(plan(configured(grid("seed", 0, 1)), WORKDIR)) == 2


@pytest.mark.parametrize(
    "field, shared",
    [
        ("log.every", ["shared/abstraction"]),
        ("decoder.name", ["shared/abstraction"]),
        ("source.name", ["shared/abstraction"]),
        ("train.prior.steps", ["shared/abstraction"]),
        ("train.abstraction.steps", ["shared/judge"]),
        ("abstraction.name", ["shared/judge"]),
        ("train.judge.steps", []),
        ("data.name", []),
        ("parallel.fsdp", []),
        ("seed", []),
    ],
)
def test_shared_stages_depend_on_changed_field(field, shared):
    trainings = plan(configured(grid(field, 1, 2)), WORKDIR)
    assert [t.name for t in trainings if t.stop_after] == shared


def test_decoder_depends_on_codes_it_reads():
    stages = ("judge", "abstraction", "decoder", "prior")
    keys = [
        stage_keys(run)
        for run in configured(
            chain(grid("prior.width", 3), grid("train.abstraction.steps", 8)), stages
        )
    ]
    assert keys[0]["judge"] == keys[1]["judge"]
    assert keys[0]["decoder"] != keys[1]["decoder"]


def test_section_of_fixed_abstraction_still_counts():
    stages = ("judge", "decoder", "prior")
    same = plan(configured(grid("prior.width", 1, 2), stages), WORKDIR)
    assert same[0].stop_after == ("decoder", 7)
    other = plan(configured(grid("abstraction.name", "a", "b"), stages), WORKDIR)
    assert other[0].stop_after == ("judge", 7)


def test_init_from_of_user_is_kept():
    field = "train.abstraction.init_from"
    runs = configured(grid("prior.width", 1, 2), **{field: "/mine"})
    trainings = plan(runs, WORKDIR)
    assert outline(trainings)["shared/judge"] == ("judge", ())
    assert taken(trainings[-1]) == {"judge": "/runs/x/shared/judge"}


def test_shared_names_stay_distinct_where_overrides_are_equal():
    sweep = [{"prior.width": w, "abstraction.name": n} for w, n in ((1, 1), (2, 1))]
    sweep += [{"prior.width": w, "abstraction.name": 2.5} for w in (3, 4)]
    trainings = [t.name for t in plan(configured(sweep), WORKDIR)]
    assert len(set(trainings)) == len(trainings) == 7


def test_needed_contains_only_runs_and_what_they_need():
    sweep = product(
        config_choice("abstraction", "vq", "fsq"), grid("prior.width", 1, 2)
    )
    trainings = plan(configured(sweep), WORKDIR)
    wanted = "abstraction=fsq,width=2"
    assert [t.name for t in needed(trainings, {wanted})] == [
        "shared/judge",
        "shared/abstraction,abstraction=fsq",
        wanted,
    ]
    assert needed(trainings, set()) == [] and topological_levels([]) == []


def test_later_run_takes_stages_with_its_keys():
    shared = share(configured(grid("prior.width", 1, 3)), WORKDIR)
    same, other = (
        with_shared(configured([overrides])[0], shared, WORKDIR)
        for overrides in ({"prior.width": 2}, {"seed": 1})
    )
    assert same.needs == ("shared/abstraction",) and other.needs == ()


def test_choices_are_merged_into_config_argument():
    overrides = {":abstraction": "fsq", "prior.width": 2, "abstraction.levels": (8, 4)}
    assert flags_of(
        "c.py:size=tiny,abstraction=vq", overrides, ["--config.seed=1"]
    ) == [
        "--config=c.py:size=tiny,abstraction=fsq",
        "--config.seed=1",
        "--config.prior.width=2",
        "--config.abstraction.levels=(8, 4)",
    ]
    assert flags_of("c.py", {}, []) == ["--config=c.py"]
    with pytest.raises(UserError, match="not '--workdir=x'"):
        flags_of("c.py", {}, ["--workdir=x"])
    with pytest.raises(UserError, match="config.seed is set after -- and by the sweep"):
        flags_of("c.py", {"seed": 1}, ["--config.seed=1"])
