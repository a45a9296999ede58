"""Models that find boxes in photos."""
