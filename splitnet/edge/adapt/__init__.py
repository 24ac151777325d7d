"""What follows the link: cut, codec and mode, and whether a frame need be sent at all."""
