"""A paper's tables and figures made anew, from raw data to scores."""
