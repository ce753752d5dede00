"""The live graph: streams, publishers, subscribers; synchronous and clock-free."""
