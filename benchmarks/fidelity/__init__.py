"""Rate against fidelity: what crosses the wire, beside how far the answers drift from the unsplit network's."""
