"""How far judges agree with people: figures, diagnostics and disagreements."""
