"""What the functions ask of AWS, with moto in its place."""
