"""Code that several test packages share."""
