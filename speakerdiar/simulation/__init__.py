"""Conversations made of single-speaker clips: arrays in, arrays and exact turns out.

`TurnTaking` holds the statistics of who speaks after whom and draws a plan, or takes them from reference turns;
`simulate` lays clips on the plan, in a room and in noise. All chance comes from the generator that is handed in.
"""

from speakerdiar.simulation.conversation import Acoustics, Clip, Conversation, simulate
from speakerdiar.simulation.turn_taking import PlannedTurn, TurnTaking

__all__ = ["Acoustics", "Clip", "Conversation", "PlannedTurn", "TurnTaking", "simulate"]
