"""Which presentations a run asks for, and in which order: selections, plans, named plans and adaptive rounds."""
