"""The welcome message, the OpenAPI document and the interactive documentation page."""
