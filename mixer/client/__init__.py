"""What a caller of the Mixer v1 API embeds."""
