"""What acts on a device from outside: its power and its consoles."""
