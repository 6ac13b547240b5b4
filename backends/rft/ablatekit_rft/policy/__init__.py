"""The policy: a causal language model in one buffer of parameters, and its log-probabilities."""
