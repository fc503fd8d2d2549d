"""The originals' commands, flags, folders and habits; each quirk with the reason why it is kept."""
