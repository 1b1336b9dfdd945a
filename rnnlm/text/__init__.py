"""From bytes to token ids: text files, tokenizers, vocabulary, encoded corpus, streams and their windows."""
