"""Layers and networks, without a job of their own: the models on the next floor give them one."""
