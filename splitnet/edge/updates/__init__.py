"""Bundles over the air: fetched, checked, tried, switched to, and back."""
