"""The configuration: one TOML file and the environment, read once at start-up."""
