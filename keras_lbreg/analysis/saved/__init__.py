"""Diagnostics of saved models on named datasets, kept in a folder."""
