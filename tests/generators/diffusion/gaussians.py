"""A distribution whose flow from noise is known in closed form."""

MEAN, SPREAD = 0.7, 0.3


def gaussian_velocity(x, time):
    """Returns E[data - noise | x_t] of data ~ N(MEAN, SPREAD²), by conditioning."""
    variance = (1 - time) ** 2 + (time * SPREAD) ** 2
    gain = (time * SPREAD**2 - (1 - time)) / variance
    return MEAN + gain * (x - time * MEAN)
