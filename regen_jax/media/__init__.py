"""Images, piano rolls and sound for people, as files and in TensorBoard."""
