"""weft: a parallel workflow engine that is durable without a server and can explain itself.

This module stays empty on purpose: start-up time is a feature, and a test lists what importing it may load.
"""

__version__ = "0.1.0"
