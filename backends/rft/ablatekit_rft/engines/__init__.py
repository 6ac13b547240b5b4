"""Where completions come from: the policy's own sampler, or vLLM in this process."""
