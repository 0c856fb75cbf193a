"""Install a pack: fetch it, look at it, build what it needs, test it, and only then use it instead of the old one.

A worker does it, step by step, aside from what is in use; the last step is one transaction. Whatever dies on the way,
the old version or the new one is there, whole. The row of the Installation is the truth; it is begun again when its
worker died.
"""
