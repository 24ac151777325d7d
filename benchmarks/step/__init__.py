"""How fast the edge daemon notices a link that changed, and whether it rests when none does."""
