"""Built-in byte coders, one a file."""
