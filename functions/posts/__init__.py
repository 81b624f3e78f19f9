"""Posts and their lists."""
