"""The edge daemon on links that change: adaptation beside every fixed choice and an oracle."""
