"""Drawn scenes: clean marks printed into photos, with the boxes of what is seen."""
