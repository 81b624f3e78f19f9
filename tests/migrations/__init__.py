"""The schema and the revisions that lead to it."""
