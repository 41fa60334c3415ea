"""A figure for each diagnostic."""
