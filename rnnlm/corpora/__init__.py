"""Sources of texts: grammars, public corpora, and the data of a configuration."""
