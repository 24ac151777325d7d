"""The configuration of the daemon: one TOML file."""
