"""The HTTP contract, tested over HTTP."""
