"""Durable execution: who runs what, when (engine), and the record of what happened (run)."""
