"""Makes the models: cases, training, export to GGUF, and measurement."""
