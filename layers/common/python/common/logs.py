"""The structured log of a function: one JSON object a line, each with the id of its request."""

from aws_lambda_powertools import Logger

log = Logger()
