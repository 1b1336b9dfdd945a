"""Runs side by side: what their folders say, ranked, and their curves as a picture."""
