"""The subcommands of `sensorloom`, one module for each group."""
