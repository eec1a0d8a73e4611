"""What X and Y are, and how Y is judged: one module a task."""
