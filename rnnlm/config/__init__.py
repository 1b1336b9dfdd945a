"""The configuration: the schema of the YAML file; reading, checking and writing it."""
