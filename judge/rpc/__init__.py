"""The door for programs: decode, call, encode."""
