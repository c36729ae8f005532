"""The Protocols between the layers: what a store, a backend, an engine and a clock must do."""
