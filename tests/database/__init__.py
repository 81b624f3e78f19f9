"""What the functions send to PostgreSQL, and how they handle failures and concurrency."""
