"""A task, with a kind of prompt that no other task reads."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from own_parts.brightest_column import BrightestColumn
from regen_jax.data.readers import raw_records
from regen_jax.errors import UserError
from regen_jax.interfaces import Example, Generated, Judge, PromptKind, Task, Variables
from regen_jax.spaces import Array, Category


@dataclasses.dataclass(frozen=True)
class ColumnToBars(Task):
    """X is a column, Y an image in which it is lit."""

    dir: str = ""

    prompt_kinds: ClassVar = {"column": PromptKind("a column from 0 to 2")}

    x = Category(3)
    y = Array((4, 4, 1), 0.0, 1.0)

    def examples(self, split: str) -> list[dict[str, np.ndarray]]:
        examples = []
        for record in raw_records.load("own_parts.bars:Bars", split, self.dir):
            y = np.zeros(self.y.shape, np.float32)
            y[:, record["column"]] = record["brightness"]
            examples.append({"x": np.int32(record["column"]), "y": y})
        return examples

    def parse_prompt(self, kind: str, value: str) -> Example:
        if kind not in self.prompt_kinds:
            raise UserError(f"bars are generated from --prompt=column:N, not --{kind}")
        return {"x": np.int32(value)}

    @property
    def judges(self) -> dict[str, Judge]:
        return {"judge": BrightestColumn()}

    def sample_metrics(self, variables: Mapping[str, Variables]) -> Any:
        def metrics(generated: Generated) -> dict[str, float]:
            columns = self.judges["judge"].predict(variables["judge"], generated.y)
            return {"accuracy": float(np.mean(columns == generated.prompts["x"]))}

        return metrics
