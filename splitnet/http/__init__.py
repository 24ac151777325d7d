"""HTTP surfaces: who may ask, and the server that answers."""
