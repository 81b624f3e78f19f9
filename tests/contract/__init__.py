"""The contract over HTTP, against whatever serves it."""
