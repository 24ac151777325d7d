"""The load generator: what the service bears, measured from outside and beside the bare network."""
