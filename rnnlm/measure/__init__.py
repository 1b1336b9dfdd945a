"""What a run would take, and how fast it is."""
