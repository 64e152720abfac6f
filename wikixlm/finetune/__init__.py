"""Fine-tune an exported model to classify texts or pairs of texts, with XNLI as the usual first task."""
