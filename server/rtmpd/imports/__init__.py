"""Settings of other servers, read and written as ours: text in, text out."""
