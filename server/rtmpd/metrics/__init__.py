"""What is counted and measured, as families of numbers, in no particular format."""
