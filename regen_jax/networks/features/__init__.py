"""Networks whose layers perceptual losses compare."""
