"""Libraries of a modality, which know no model."""
