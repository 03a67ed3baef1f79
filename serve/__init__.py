"""Serve: what leaves the lab. Fitted heads on new audio, through the same extractor."""
