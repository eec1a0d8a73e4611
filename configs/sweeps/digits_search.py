"""A prior for the codes of digits: the likelihood of held-out codes, by optuna.

--config=configs/digits.py
"""

from launch.algebra import Search, choice, integer, log_uniform, uniform


def get_search() -> Search:
    """Twenty trials that share one judge and one tokenizer."""
    return Search(
        space=[
            log_uniform("train.prior.schedule.learning_rate", 3e-4, 1e-2),
            uniform("prior.dropout", 0.0, 0.3),
            integer("prior.num_layers", 2, 4),
            choice("train.prior.batch_size", 16, 32, 64),
        ],
        metric="prior/nll",
        trials=20,
    )
