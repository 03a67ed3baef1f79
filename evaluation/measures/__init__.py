"""What one set of predictions is worth: pure functions of arrays."""
