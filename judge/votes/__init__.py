"""From stored verdicts and labels to votes that can be ranked and compared."""
