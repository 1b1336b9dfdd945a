"""N-gram models: counted, smoothed, written and read as ARPA files; the baseline beside a network."""
