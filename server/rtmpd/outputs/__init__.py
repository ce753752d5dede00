"""What is kept of streams beside the live one, and what else feeds them: files, rings, slates."""
