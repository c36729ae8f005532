"""The nouns: frozen data, the table of states, the tree of errors. Imports nothing but the standard library."""
