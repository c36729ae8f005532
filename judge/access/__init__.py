"""Who may call: access tokens, and what each permits."""
