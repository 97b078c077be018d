"""Scripts that measure; pytest collects none of them."""
