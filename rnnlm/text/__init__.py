"""From bytes to token ids: files, tokenizer, vocabulary, corpus; the built-in grammar and the catalogue of public corpora."""
