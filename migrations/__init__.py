"""The schema of the database: its revisions, and the Lambda function that runs them."""
