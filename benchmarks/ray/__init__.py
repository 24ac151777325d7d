"""The service on Ray Serve, with a replica killed under load."""
