"""`splitnet edge daemon`: several sources at once, through one link, to sinks that lose nothing."""
