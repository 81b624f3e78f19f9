"""Each route of each function, against PostgreSQL, with the events of API Gateway."""
