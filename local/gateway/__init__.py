"""API Gateway's REST APIs as an ASGI application, from a SAM template. Knows nothing about what is served."""
