"""Why a model answered so: words, columns and places without which it would not."""
