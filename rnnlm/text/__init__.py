"""From bytes to token ids: text files, tokenizers, vocabulary, corpus, streams, windows."""
