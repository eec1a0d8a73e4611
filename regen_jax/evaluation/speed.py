"""How fast a trained pipeline generates."""

import time
from typing import Any

from regen_jax.data.host_features import as_batch
from regen_jax.evaluation.evaluator import EvaluationData, concatenate
from regen_jax.evaluation.inference import TrainedPipeline
from regen_jax.interfaces import RunVariables

NUM_SINGLES = 3
"""Number of single examples over which the latency is averaged."""


def sampling_speed(data: EvaluationData, variables: RunVariables) -> dict[str, float]:
    """Returns the latency of single examples and the throughput of batches.

    Compilation is excluded. `latency_seconds` is a mean over `NUM_SINGLES` examples;
    `throughput_per_second` is examples per second in batches of `data.batch_size`. Both
    come with the `speed_metrics` of the task. `prior_calls` is `Generator.num_calls` of the
    prior, where that is fixed.
    """
    task = data.task
    number = min(data.num_samples or data.batch_size, data.batch_size)
    prompts = task.prompts(number, data.split)
    trained = TrainedPipeline(task, data.regeneration, variables)

    def timed(prompts: list) -> tuple[Any, float]:
        start = time.perf_counter()
        batch = as_batch(prompts, data.regeneration)
        _, y = trained.sample(batch, batch_size=len(prompts))
        return y, time.perf_counter() - start

    timed(prompts[:1])
    singles = [timed([prompt]) for prompt in prompts[:NUM_SINGLES]]
    single_y = concatenate([y for y, _ in singles])
    seconds = sum(seconds for _, seconds in singles)
    latency = {"seconds": seconds / len(singles)}
    latency |= task.speed_metrics(single_y, seconds)

    timed(prompts)
    batch_y, batch_seconds = timed(prompts)
    throughput = {"per_second": len(prompts) / batch_seconds}
    throughput |= task.speed_metrics(batch_y, batch_seconds)
    calls = data.regeneration.prior.num_calls
    return {
        **{f"latency_{name}": value for name, value in latency.items()},
        **{f"throughput_{name}": value for name, value in throughput.items()},
        **({} if calls is None else {"prior_calls": calls}),
    }
