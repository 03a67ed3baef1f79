"""Label maps at work: chosen, checked, suggested, and merging put to the test."""
