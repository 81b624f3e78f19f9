"""The local run: PostgreSQL and an API gateway on one machine, without Docker. Never deployed."""
