"""Ranks: the processes of an MPI job, what they tell each other, and the watch over them.

Rank 0 is the leader: it reads, decides, writes and prints. The others do what it has them do: their part of each
update of a training (``training.distributed``), or of any work that has independent parts (`sharing`).
"""
