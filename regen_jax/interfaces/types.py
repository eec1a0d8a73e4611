"""Types that the seams share."""

from collections.abc import Mapping
from typing import Any

Variables = Mapping[str, Any]
"""Flax collections by name: `params`, and what else a model keeps."""
Example = Mapping[str, Any]
"""`x`, `y` where it is known, `x_prime` and `y_prime` where a feature for the host made
them, and metadata: whatever else a data set has. A batch of examples has no metadata."""
