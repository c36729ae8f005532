"""The Protocols between the floors: what a store, a backend, an engine and a clock must do."""
