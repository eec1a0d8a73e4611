"""The guide of autoguidance: parameters of early training, kept among the variables.

So it needs no other run, and is saved, restored and sharded as all variables are.
"""

import jax
import jax.numpy as jnp
import optax

from regen_jax.interfaces import Variables


def init_guide(variables: Variables) -> Variables:
    """Returns variables with a collection `guide`: steps counted, and own `params`."""
    # Copies, since steps donate the buffers of all variables.
    params = jax.tree.map(jnp.copy, variables["params"])
    return {**variables, "guide": {"params": params, "step": jnp.zeros((), jnp.int32)}}


def update_guide(variables: Variables, num_steps: int) -> Variables:
    """Returns variables after a step: the guide averages parameters of `num_steps` steps.

    The average is over about the last tenth of the steps so far, as the noise of single
    steps is no error that the final parameters share.

    Args:
      variables: with the parameters after the step.
      num_steps: after which the guide stays as it is; 0 for variables without a guide.
    """
    if not num_steps:
        return variables
    step, params = variables["guide"]["step"], variables["guide"]["params"]

    def average(params: Variables) -> Variables:
        decay = (1 + step) / (10 + step)
        return optax.incremental_update(variables["params"], params, 1 - decay)

    # The branch not taken costs nothing.
    params = jax.lax.cond(step < num_steps, average, lambda params: params, params)
    return {**variables, "guide": {"params": params, "step": step + 1}}
