"""Models for others: as an ONNX file that runs without PyTorch, as a folder for the hub."""
