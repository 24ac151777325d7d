"""The edge daemon: its rate beside the bare graph's, its memory, its start."""
