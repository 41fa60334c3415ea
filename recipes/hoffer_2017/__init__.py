"""Hoffer, Hubara and Soudry 2017, "Train longer, generalize better"."""
