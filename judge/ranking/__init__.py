"""From votes to leaderboards: battles, options, fits, style control and anchoring."""
