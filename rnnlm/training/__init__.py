"""Training by truncated backpropagation through time."""
