"""Generated protocol code (proto/splitnet/v1); never edited."""
