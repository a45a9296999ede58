"""Every metric that torchmetrics has not, exact over batches and ranks."""
