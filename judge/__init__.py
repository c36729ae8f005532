"""Compare language models with LLM judges, rank them, and measure how far the judges agree with people."""
