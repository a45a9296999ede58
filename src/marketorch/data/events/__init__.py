"""Event logs: users, items, histories, and what is held out of them."""
