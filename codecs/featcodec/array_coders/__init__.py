"""Built-in array coders, one a file."""
