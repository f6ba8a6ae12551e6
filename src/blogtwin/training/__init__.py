"""Training: examples and a base model become a LoRA adapter, on whatever this machine has."""
