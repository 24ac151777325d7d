"""What features give away: a small decoder turns transmitted features back into the photo."""
