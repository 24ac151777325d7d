"""Third-party stages, one of each kind."""
