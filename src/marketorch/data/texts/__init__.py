"""Texts: where they come from, and tokens as batches."""
