"""What waits on disk for a server, and what was answered."""
