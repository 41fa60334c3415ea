"""Which combination closes most of the gap at equal epochs?"""
