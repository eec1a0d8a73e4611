"""Pictures, piano rolls, sound and text for people, and TensorBoard."""
