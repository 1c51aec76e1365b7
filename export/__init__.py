"""torch -> ONNX: ``python -m export --profile compact -o models/compact``."""
