"""Raw data sets, as downloaded, to `Take` records."""
