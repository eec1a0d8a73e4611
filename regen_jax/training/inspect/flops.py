"""Counts FLOPs and parameters of a model, however it is compiled or sharded."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var

from regen_jax.training.stage import Batch, Frozen, Stage, StageOptions, Tree

Marks = list[bool]


def num_parameters(params: Tree) -> int:
    """Returns the number of values in the arrays or shapes of a tree."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


def training_flops(
    stage: Stage, options: StageOptions, shapes: Tree, frozen: Frozen, batch: Batch
) -> float:
    """Returns the FLOPs of all steps; `batch` has `options.batch_size` examples."""
    return options.steps * model_flops(stage, shapes, frozen, batch)


def model_flops(stage: Stage, shapes: Tree, frozen: Frozen, batch: Batch) -> float:
    """Returns the FLOPs of products, convolutions and FFTs of a training step.

    What a gradient to the parameters passes through counts three times, since a backward
    pass costs about two forward ones (Kaplan et al., arXiv 2001.08361, section 2.1).
    What runs forward alone counts once: frozen stages, and what a `stop_gradient`
    or the choice of an integer cuts off. The loss is counted as written, before it is
    split over devices: recomputation and micro-batches do not change it, and a loop
    counts as often as it runs.

    Args:
      stage: that is trained.
      shapes: the state of the stage, or its shapes.
      frozen: variables of finished stages, or their shapes.
      batch: of training, or its shapes.
    """
    size = jax.tree.leaves(batch)[0].shape[0]
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), size))

    def loss(params, variables, frozen, keys, batch):
        variables = {**variables, "params": params}
        return stage.loss(variables, frozen, keys, batch, True).loss

    params = shapes.variables["params"]
    jaxpr = jax.make_jaxpr(loss)(params, shapes.variables, frozen, keys, batch).jaxpr
    number = len(jax.tree.leaves(params))
    trained = [index < number for index in range(len(jaxpr.invars))]
    return _flops(jaxpr, trained, [True])


def _flops(jaxpr: Jaxpr, trained: Marks, needed: Marks) -> float:
    """Returns the FLOPs of a program and of its gradient.

    Args:
      jaxpr: the program.
      trained: which of its inputs depend on parameters.
      needed: to which of its outputs a gradient flows back.
    """
    depends, wanted = _forward(jaxpr, trained), _backward(jaxpr, needed)
    total = 0.0
    for eqn in jaxpr.eqns:
        # Both are needed: the value depends on parameters, and the loss on the value.
        passes = any(var in depends and var in wanted for var in eqn.outvars)
        total += _operations(eqn) * (3 if passes else 1)
        inputs, outputs = _marks(eqn.invars, depends), _marks(eqn.outvars, wanted)
        if _is_loop(eqn):
            inputs, outputs = [any(inputs)] * len(inputs), [any(outputs)] * len(outputs)
        parts = [
            times * _flops(part, inputs[skipped:], outputs)
            for part, times, skipped in _parts(eqn)
        ]
        # One of several branches is taken.
        total += max(parts, default=0.0)
    return total


def _forward(jaxpr: Jaxpr, trained: Marks) -> set[Var]:
    """Returns the real variables of a program that depend on the marked inputs."""
    depends = _real(jaxpr.invars, trained)
    for eqn in jaxpr.eqns:
        inputs = _marks(eqn.invars, depends)
        if any(inputs) and eqn.primitive.name != "stop_gradient":
            outputs = [
                _marks(part.outvars, _forward(part, inputs[skipped:]))
                for part, skipped in _branches(eqn)
            ]
            depends |= _real(eqn.outvars, _any_branch(outputs, len(eqn.outvars)))
    return depends


def _backward(jaxpr: Jaxpr, needed: Marks) -> set[Var]:
    """Returns the real variables of a program that the marked outputs depend on."""
    wanted = _real(jaxpr.outvars, needed)
    for eqn in reversed(jaxpr.eqns):
        outputs = _marks(eqn.outvars, wanted)
        if any(outputs) and eqn.primitive.name != "stop_gradient":
            inputs = [
                [False] * skipped + _marks(part.invars, _backward(part, outputs))
                for part, skipped in _branches(eqn)
            ]
            wanted |= _real(eqn.invars, _any_branch(inputs, len(eqn.invars)))
    return wanted


def _branches(eqn: JaxprEqn) -> list[tuple[Jaxpr, int]]:
    """Returns programs that pass values on one by one, and the inputs each skips."""
    # Inputs and outputs of a loop depend on one another as they go round.
    return [] if _is_loop(eqn) else [(part, n) for part, _, n in _parts(eqn)]


def _any_branch(marks: list[Marks], number: int) -> Marks:
    """Returns which of a number of variables any branch marks; all without branches."""
    return list(map(any, zip(*marks, strict=True))) or [True] * number


def _parts(eqn: JaxprEqn) -> list[tuple[Jaxpr, int, int]]:
    """Returns programs within an equation, how often each runs, and inputs it skips."""
    match eqn.primitive.name:
        case "scan":
            programs = [(eqn.params["jaxpr"], eqn.params["length"], 0)]
        case "while":
            # The number of iterations is unknown: it counts once.
            programs = [(eqn.params["body_jaxpr"], 1, eqn.params["cond_nconsts"])]
        case "cond":
            programs = [(branch, 1, 1) for branch in eqn.params["branches"]]
        case _:
            programs = [(value, 1, 0) for value in eqn.params.values()]
    opened = [(getattr(part, "jaxpr", part), *rest) for part, *rest in programs]
    return [
        (part, times, skipped)
        for part, times, skipped in opened
        if hasattr(part, "eqns") and len(part.invars) + skipped == len(eqn.invars)
    ]


def _operations(eqn: JaxprEqn) -> float:
    """Returns FLOPs of a matrix product, a convolution or an FFT; else 0."""
    (output, *_), shapes = eqn.outvars, [_array(var).shape for var in eqn.invars]
    match eqn.primitive.name:
        case "dot_general":
            (contracted, _), _ = eqn.params["dimension_numbers"]
            terms = math.prod(shapes[0][axis] for axis in contracted)
            return 2.0 * math.prod(_array(output).shape) * terms
        case "conv_general_dilated":
            features = shapes[1][eqn.params["dimension_numbers"].rhs_spec[0]]
            terms = math.prod(shapes[1]) / features
            # Most inputs of a transposed convolution are 0.
            terms /= math.prod(eqn.params["lhs_dilation"])
            return 2.0 * math.prod(_array(output).shape) * terms
        case "fft":
            size = math.prod(eqn.params["fft_lengths"])
            real = not all(
                jnp.iscomplexobj(_array(var)) for var in (eqn.invars[0], output)
            )
            number = max(math.prod(shapes[0]), math.prod(_array(output).shape)) / size
            return (2.5 if real else 5.0) * number * size * math.log2(size)
    return 0.0


def _is_loop(eqn: JaxprEqn) -> bool:
    return eqn.primitive.name in ("scan", "while")


def _marks(variables: Sequence[Var | Literal], marked: set[Var]) -> Marks:
    return [not isinstance(v, Literal) and v in marked for v in variables]


def _real(variables: Sequence[Var | Literal], marks: Marks) -> set[Var]:
    """Returns the marked variables that may have a gradient."""
    return {
        var
        for var, mark in zip(variables, marks, strict=True)
        if mark
        and not isinstance(var, Literal)
        and jnp.issubdtype(_array(var).dtype, jnp.inexact)
    }


def _array(variable: Var | Literal) -> Any:
    """Returns the abstract array of a variable, with its shape and dtype."""
    return variable.aval
