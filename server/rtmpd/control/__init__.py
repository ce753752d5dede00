"""What somebody in charge of the server can see and do, whoever they speak to it through."""
