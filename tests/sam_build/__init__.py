"""What `sam build` makes."""
