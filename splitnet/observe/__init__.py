"""What both halves show of themselves is made of: histograms, and text that is safe to show."""
