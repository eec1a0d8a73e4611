"""The networks of autoencoders, one module per kind."""
