"""Requests of the functions to AWS, with moto instead of AWS."""
