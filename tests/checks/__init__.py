"""Checks shared by the tests of several classes."""
