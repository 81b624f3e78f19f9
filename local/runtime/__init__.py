"""Execution environments of Lambda functions, as processes. Independent of what the functions do."""
