"""Each route of each function, invoked with events of API Gateway, on PostgreSQL."""
