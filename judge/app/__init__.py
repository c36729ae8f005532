"""The only room that has seen every other one; it wires them."""
