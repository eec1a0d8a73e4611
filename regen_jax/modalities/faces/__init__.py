"""A parametric face: its renderer, the inverse of it, and visemes that move it."""
