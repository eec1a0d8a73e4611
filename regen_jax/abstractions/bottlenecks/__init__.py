"""From latents to Tokens or an Array, and back: one module per bottleneck."""
