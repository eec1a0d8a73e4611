"""Loss terms, f32[B] each."""
