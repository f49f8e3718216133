"""Queries answered as tables, JSON, pages and by a small server."""
