"""Generated from proto/; sealed: change the .proto files and run `make proto`."""
