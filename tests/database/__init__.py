"""What goes over the wire to PostgreSQL, and what becomes of it when something breaks."""
