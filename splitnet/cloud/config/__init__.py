"""One TOML file for `splitnet serve`: schema, reading, and what is made of it."""
