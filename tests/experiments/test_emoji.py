"""The study of emoji: its runs, which test_configs builds."""

from experiments.emoji.run import STUDY
from experiments.study import Scale


def test_priors_share_judge_and_autoencoder(tmp_path):
    runs = {
        title: (workdir, config)
        for title, workdir, config in STUDY.configs(tmp_path, Scale(size="tiny"))
    }
    (first, diffusion), (_, regression) = runs.values()
    assert diffusion.prior.name == "diffusion"
    assert regression.prior.name == "regression"
    for stage in ("judge", "abstraction"):
        assert "init_from" not in diffusion.train[stage]
        assert regression.train[stage].init_from == str(first)
    assert "init_from" not in regression.train.prior
