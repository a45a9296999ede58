"""Models that read rows of tables."""
