"""Photos with boxes: annotation formats, squares that keep proportions, changes in batches."""
