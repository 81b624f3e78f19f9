"""Votes on posts."""
