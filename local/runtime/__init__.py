"""Execution environments of Lambda functions, as processes. Knows nothing about what the functions do."""
