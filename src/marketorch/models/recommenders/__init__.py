"""Models that score a catalogue for a user."""
