"""TOML files that people write: read, checked, and told where they are wrong."""
