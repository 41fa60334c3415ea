"""Derivatives of a loss, compiled by the backend."""
