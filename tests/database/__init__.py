"""What the functions send to PostgreSQL, and what happens when something breaks."""
