"""Independent services around the server: access policy, relays. They never import each other."""
