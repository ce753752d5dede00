"""What other servers say of themselves, said of this one, for programs that were made for those."""
