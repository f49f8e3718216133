"""Objectives, one loss for each module."""
