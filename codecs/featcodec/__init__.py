"""featcodec."""
