"""A search on several machines: a chief and its workers."""
