"""Analytic gradients against derivatives that need no derivation."""
