"""Y → Y′: one module an abstraction."""
