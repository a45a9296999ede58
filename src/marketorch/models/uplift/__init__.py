"""Models of what a treatment changes."""
