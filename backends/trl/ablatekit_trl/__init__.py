"""TRL's GRPOTrainer and RLOOTrainer as an ablatekit backend, with the settings of `rft`."""

__version__ = "0.1.0"
