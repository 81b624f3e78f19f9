"""The revisions, the runner that applies them, and the Lambda function that runs it."""
