"""Export of a model as a page for the browser."""
