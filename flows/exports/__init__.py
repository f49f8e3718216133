"""A view written for others to read: WebDataset and Parquet."""
