"""sensorloom: raw wearable recordings to aligned, committed, streamed training triplets."""

__version__ = "0.1.0"


class SensorloomError(Exception):
    """Root of every error this project raises on purpose; its message is meant for a person.

    Each package draws its own small tree below it; the command line turns one into an exit code and
    a sentence, and lets anything else through as the defect it is.
    """
