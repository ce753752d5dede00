"""What happens to streams, as one kind of record for whoever is to be told of it."""
