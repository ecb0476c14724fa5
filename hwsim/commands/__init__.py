"""The commands, one file each: options, the command function, and what it prints."""
