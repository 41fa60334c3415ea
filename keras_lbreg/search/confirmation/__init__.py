"""The winner of a search, compared on fresh seeds."""
