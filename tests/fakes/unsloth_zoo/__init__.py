"""Stands in for unsloth_zoo, of which blogtwin only asks whether it is there."""
