"""The ladder of tiny models: weights, model card, and the code that makes them."""
