"""The gradient check: central differences and complex steps beside the kernels' gradients."""
