"""Configuration, command line, engines, Prefect flows and report pages. No science."""
