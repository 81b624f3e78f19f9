"""Accounts: sign-up, and what anyone may know of a user."""
