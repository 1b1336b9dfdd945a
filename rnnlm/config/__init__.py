"""The YAML: its schema, a section a file; reading, checking and writing it."""
