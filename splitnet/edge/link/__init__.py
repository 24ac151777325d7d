"""The ways to the servers: which one to ask, and what the link is like."""
