"""Quality networks in PyTorch, for training and for gradients; scoring needs none of this."""
