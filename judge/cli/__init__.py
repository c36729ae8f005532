"""The command line. A command imports heavy packages only when it needs them."""
