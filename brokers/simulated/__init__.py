"""Our own venue: one matching engine with two faces, in process and over HTTP in the ProjectX protocol."""
