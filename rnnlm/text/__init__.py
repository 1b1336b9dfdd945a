"""From bytes to token ids: files, tokenizer, vocabulary, corpus; the built-in grammar; the public corpora."""
