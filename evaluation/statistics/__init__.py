"""What can be said of a score and of a difference, over speakers."""
