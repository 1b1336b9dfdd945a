"""Formulas typed by a person in the letters of the derivation: read, evaluated, compared, explained."""
