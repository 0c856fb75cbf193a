"""Packs and what they define, as the wire has it."""
