"""The codec benchmark: every lossless codec on the same feature maps, side by side (`python -m benchmarks.codecs`)."""
