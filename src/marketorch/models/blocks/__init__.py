"""What networks of several kinds are made of."""
