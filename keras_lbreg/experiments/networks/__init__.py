"""Networks of the recipes, one file each.

Each takes raw inputs of any numeric dtype and normalises them itself, so that
a saved model needs nothing beside it, and ends in logits. Batch normalization
has the papers' constants (momentum 0.9, epsilon 1e-5).
"""
