"""Networks that tell real samples from generated ones."""
