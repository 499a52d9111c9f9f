"""What a resolver needs of vLLM 0.33.0, as read in the sources of that release. It loads and computes nothing."""
