"""Registries: indices that name packs and where to get them, and what packs need of one another."""
