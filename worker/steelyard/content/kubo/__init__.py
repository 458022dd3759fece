"""A content store on an IPFS daemon (Kubo): what is provided lies in the daemon, pinned."""
