"""Between edge and cloud: the exchange as Python objects, as protobuf messages, and the channels that carry them."""
