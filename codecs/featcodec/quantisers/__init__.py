"""Built-in quantisers, one a file."""
