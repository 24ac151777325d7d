"""Where records go: JSON lines, folders, SQLite, webhooks, MQTT."""
