"""The errors a user can cause. Each message is one line: what was wrong, what to do."""


class PicdError(Exception):
    """Anything the caller can mend; the command line prints it and exits with 2."""


class ImageError(PicdError):
    """The input picture cannot be read or is outside the limits."""


class BitstreamError(PicdError):
    """The ``.picd`` bytes are malformed, truncated, foreign, or of another version or model."""


class ModelError(PicdError):
    """Model files are missing, damaged or lack what was asked for."""
