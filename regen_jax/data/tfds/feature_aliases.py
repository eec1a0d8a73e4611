"""Names under which a feature of this package reads those of TFDS."""

import importlib.util

_WITHOUT_TENSORFLOW = importlib.util.find_spec("tensorflow") is None


def replaces(feature: type) -> list[str]:
    """Returns the `ALIASES` of a class that replaces a feature of TFDS in prepared sets.

    TFDS finds the class of a feature by the name that a prepared set stores. With
    TensorFlow, its own classes can be read: there are none then.
    """
    return [f"{feature.__module__}.{feature.__name__}"] if _WITHOUT_TENSORFLOW else []
