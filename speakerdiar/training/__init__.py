"""Training with PyTorch Lightning: modules that learn, and the data that they learn from."""
