"""Plans against reality: every candidate measured on emulated links, and what the planner had said of each."""
