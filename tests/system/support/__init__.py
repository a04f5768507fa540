"""What the system tests share. Knows Sluice only through its interface: arguments, signals, sockets, JSON."""
