"""Threads: the pool, the barrier, the partition of work."""
