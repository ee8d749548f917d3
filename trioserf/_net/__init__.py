"""Real sockets: the transport of UDP and TCP, and the addresses it goes to."""
