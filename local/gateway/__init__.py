"""API Gateway's REST APIs as an ASGI application, from a SAM template. Independent of what is served."""
