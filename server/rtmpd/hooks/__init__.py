"""What backends are asked and told over HTTP, in their own dialects; nothing here speaks to anybody."""
