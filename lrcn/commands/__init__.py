"""What the user can type after `lrcn`: a module a group of commands."""
