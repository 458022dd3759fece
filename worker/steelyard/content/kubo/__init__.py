"""A content store on an IPFS daemon (Kubo): provided content is pinned in the daemon."""
