"""Removes, once a day, the rows that requests only marked or left behind."""
