"""How requests prove who asks: what the transport needs (`protocol`), and each kind of credentials that Atlas takes."""
