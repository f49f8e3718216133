"""Report pages: values in, HTML out."""
