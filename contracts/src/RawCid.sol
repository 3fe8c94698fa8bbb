// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/**
 * @title Content identifiers of single raw blocks
 * @notice Writes `ipfs://` followed by the CIDv1 (raw codec 0x55, sha2-256, lower base32) of a block whose sha2-256
 * digest is given. Knows this one kind of CID, which every document of up to 1 MiB has when it is added as one block.
 * @dev A CID is the bytes 0x01 0x55 0x12 0x20 and the digest, 288 bits, in groups of five (RFC 4648, no padding) behind
 * the multibase prefix "b". Thirty of the thirty-two leading bits never change: they are the letters "afkrei". The
 * other two are zero and share a group with the first three bits of the digest.
 */
library RawCid {
    bytes32 private constant ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";

    /// @param digest sha2-256 of the block.
    /// @return The URI, always 66 characters.
    function uri(bytes32 digest) internal pure returns (string memory) {
        bytes memory text = bytes.concat("ipfs://bafkrei", new bytes(52));
        uint256 rest = uint256(digest);
        // From the end: the last letter has the digest's lowest three bits and two zeros to fill it up.
        text[65] = ALPHABET[(rest << 2) & 31];
        rest >>= 3;
        for (uint256 i = 65; i > 14;) {
            text[--i] = ALPHABET[rest & 31];
            rest >>= 5;
        }
        return string(text);
    }
}
