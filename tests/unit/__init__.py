"""Pure logic: no database, no event."""
