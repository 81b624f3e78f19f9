"""The welcome, the OpenAPI document and the page that explores it."""
