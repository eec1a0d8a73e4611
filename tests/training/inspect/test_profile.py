import gzip
import json

import pytest

from regen_jax.training.inspect.profile import ProfileOptions


def traces(workdir):
    return list((workdir / "toy" / "plugins" / "profile").glob("*"))


def test_steps_are_recorded_for_xprof_and_perfetto(toy, tmp_path):
    toy.train(tmp_path, profile=ProfileOptions(steps=2, skip=1))
    (trace,) = traces(tmp_path)
    (xplane,) = trace.glob("*.xplane.pb")
    assert xplane.stat().st_size > 1000
    with gzip.open(trace / "perfetto_trace.json.gz") as file:
        events = json.load(file)["traceEvents"]
    steps = [e["args"]["step_num"] for e in events if e.get("name") == "train"]
    assert sorted(map(int, steps)) == [1, 2]


def test_stage_that_ends_early_is_recorded_to_its_end(toy, tmp_path):
    toy.train(tmp_path, profile=ProfileOptions(steps=100, skip=4))
    assert len(traces(tmp_path)) == 1


def test_default_records_nothing(whole):
    assert not traces(whole)


@pytest.mark.parametrize("options", [{"steps": -1}, {"skip": -1}])
def test_negative_options_raise_value_error(options):
    with pytest.raises(ValueError, match="must be 0 or more"):
        ProfileOptions(**options)
