"""Training by several processes, the ranks of an MPI job, each with its share of the streams.

Rank 0 is the leader: it reads, decides, writes and prints, with the loop of ``training.loop``. The others follow its
orders (`follower`). Every rank holds all weights and the optimizer's moments, and trains its share of the batch; the
sum of their gradients is that of the whole batch, so all make the same update.
"""
