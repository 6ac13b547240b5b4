"""What other trainers offer by name, and what it is here: level, alias or the reason why not.

Data alone: the page of it (`ablatekit_rft.document`) has a column per trainer with its version.
"""

from __future__ import annotations

from ablatekit_rft.peers.nemo_rl import NEMO_RL
from ablatekit_rft.peers.offers import KINDS, Kind, Offer, Peer
from ablatekit_rft.peers.openrlhf import OPENRLHF
from ablatekit_rft.peers.prime_rl import PRIME_RL
from ablatekit_rft.peers.slime import SLIME
from ablatekit_rft.peers.trl import TRL
from ablatekit_rft.peers.verl import VERL

__all__ = ["KINDS", "PEERS", "Kind", "Offer", "Peer"]

PEERS: tuple[Peer, ...] = (TRL, VERL, OPENRLHF, PRIME_RL, NEMO_RL, SLIME)
"""The trainers, in the order of their columns."""
