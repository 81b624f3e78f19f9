"""Logic without a database and without events."""
