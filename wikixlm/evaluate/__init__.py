"""Score masked language models: perplexity per language, beside the unigram baseline."""
