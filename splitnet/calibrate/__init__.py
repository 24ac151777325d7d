"""The workshop: feature maps out of a network, for calibration and for the codec benchmark. Needs torch."""
