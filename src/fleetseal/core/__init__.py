"""Records, errors, configuration, time and secrets: what every layer may import."""
