"""The demo: a real network, real photos, two processes, and what the codecs cost and keep."""
