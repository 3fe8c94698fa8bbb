// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {VM} from "./Vm.sol";

/// @dev What an EIP-712 permit says.
struct Permit {
    address to;
    bytes32 audioHash;
    bytes32 metadataDigest;
    uint256 deadline;
}

/**
 * @dev Signs permits as any signer would, from the two standards and without the libraries that `SongNFT` uses, and
 * writes signatures in forms that it must refuse.
 */
library Permits {
    uint256 private constant CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    function digestOf(Permit memory permit, uint256 chainId, address target) internal pure returns (bytes32) {
        bytes32 separator = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("AceSteps SongNFT"),
                keccak256("1"),
                chainId,
                target
            )
        );
        bytes32 content = keccak256(
            abi.encode(
                keccak256("MintPermit(address to,bytes32 audioHash,bytes32 metadataDigest,uint256 deadline)"),
                permit.to,
                permit.audioHash,
                permit.metadataDigest,
                permit.deadline
            )
        );
        return keccak256(bytes.concat(hex"1901", separator, content));
    }

    function packedDigestOf(address to, string memory uri, bytes32 audioHash) internal pure returns (bytes32) {
        bytes32 content = keccak256(bytes.concat(bytes20(to), bytes(uri), audioHash));
        return keccak256(bytes.concat("\x19Ethereum Signed Message:\n32", content));
    }

    /// @dev The one form that mints: r ‖ s ‖ v with low s.
    function sign(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = VM.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    /// @dev Recovers to the same signer where nobody looks at s (EIP-2).
    function highS(bytes memory signature) internal pure returns (bytes memory) {
        (bytes32 r, bytes32 s, uint8 v) = split(signature);
        return abi.encodePacked(r, CURVE_ORDER - uint256(s), uint8(55 - v));
    }

    /// @dev 64 bytes: v is the highest bit of s (EIP-2098).
    function compact(bytes memory signature) internal pure returns (bytes memory) {
        (bytes32 r, bytes32 s, uint8 v) = split(signature);
        return abi.encodePacked(r, uint256(s) | (uint256(v - 27) << 255));
    }

    /// @dev The first `length` bytes, or zeros behind them.
    function resized(bytes memory signature, uint256 length) internal pure returns (bytes memory other) {
        other = new bytes(length);
        for (uint256 i = 0; i < length && i < signature.length; i++) {
            other[i] = signature[i];
        }
    }

    function split(bytes memory signature) internal pure returns (bytes32 r, bytes32 s, uint8 v) {
        assembly ("memory-safe") {
            r := mload(add(signature, 0x20))
            s := mload(add(signature, 0x40))
            v := byte(0, mload(add(signature, 0x60)))
        }
    }
}
