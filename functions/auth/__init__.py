"""Login, sessions, the Lambda authorizer, and the rotation of the key ring."""
