"""Tables with a row an example: files, kinds of columns, cells to numbers, splits."""
