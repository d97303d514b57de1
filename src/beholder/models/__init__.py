"""Model files, the ONNX runtime, and the networks (PyTorch, with `beholder[train]`)."""
