"""Published figures as rows, each with its command, and ours beside it."""
