"""What an operator does on chain: deploy `SongNFT`, grant and revoke signer roles.

For the commands `deploy` and `keys rotate` only: the service itself never speaks to a chain.
"""
