"""Checks of README.md, the other pages at the top level and docs/: commands, code blocks, links, paths."""
