"""The commands: argv in, exit code out. Nothing heavy is imported before a command needs it."""
