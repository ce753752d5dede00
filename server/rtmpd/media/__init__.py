"""Sans-I/O media payloads: tag headers, FLV, onMetaData."""
