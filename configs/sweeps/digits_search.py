"""A prior for the codes of digits: the likelihood of held-out codes, by optuna.

--config=configs/digits.py
"""

from optuna.distributions import FloatDistribution, IntDistribution

from launch.search_space import Search


def get_search() -> Search:
    """Twenty trials that share one judge and one tokenizer."""
    return Search(
        space={
            "train.prior.schedule.learning_rate": FloatDistribution(
                3e-4, 1e-2, log=True
            ),
            "prior.dropout": FloatDistribution(0.0, 0.3),
            "prior.num_layers": IntDistribution(2, 4),
            "train.prior.batch_size": [16, 32, 64],
        },
        metric="prior/nll",
        trials=20,
    )
