"""What the daemon shows: metrics, status, the live page, and what it tells systemd."""
