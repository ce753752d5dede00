"""The public HTTP listener: streams and files for whoever may play, on addresses of its own."""
