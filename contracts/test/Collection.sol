// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SongNFT} from "../src/SongNFT.sol";
import {Permit, Permits} from "./Permits.sol";
import {VM} from "./Vm.sol";

/// @dev A collection with one signer per format, and the accounts around it.
abstract contract Collection {
    uint256 internal constant SIGNER_KEY = 0xa11ce;
    uint256 internal constant PACKED_KEY = 0xb0b;
    uint256 internal constant FORMER_KEY = 0xf02;
    uint256 internal constant STRANGER_KEY = 0xbad;

    address internal immutable ADMIN = VM.addr(1);
    address internal immutable CREATOR = VM.addr(2);
    address internal immutable STRANGER = VM.addr(STRANGER_KEY);

    string internal constant URI = "ipfs://bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";
    uint256 internal constant NOW = 1_800_000_000;

    SongNFT internal songs;
    bytes32 internal eip712Role;
    bytes32 internal packedRole;

    /// @dev As an admin does before the first mint.
    function deployed() internal returns (SongNFT collection) {
        collection = newCollection();
        eip712Role = collection.EIP712_SIGNER_ROLE();
        packedRole = collection.PACKED_SIGNER_ROLE();
        bytes32 pauserRole = collection.PAUSER_ROLE();
        grant(collection, eip712Role, VM.addr(SIGNER_KEY));
        grant(collection, packedRole, VM.addr(PACKED_KEY));
        grant(collection, pauserRole, ADMIN);
        grant(collection, eip712Role, VM.addr(FORMER_KEY));
        revoke(collection, eip712Role, VM.addr(FORMER_KEY));
    }

    function newCollection() internal virtual returns (SongNFT) {
        return new SongNFT(ADMIN, ADMIN, 500, "");
    }

    function grant(SongNFT collection, bytes32 role, address account) internal {
        VM.prank(ADMIN);
        collection.grantRole(role, account);
    }

    function revoke(SongNFT collection, bytes32 role, address account) internal {
        VM.prank(ADMIN);
        collection.revokeRole(role, account);
    }

    function permitFor(bytes32 audioHash) internal view returns (Permit memory) {
        return Permit(CREATOR, audioHash, sha256("hello world"), block.timestamp + 1 hours);
    }

    function signed(Permit memory permit) internal view returns (bytes memory) {
        return signedBy(SIGNER_KEY, permit);
    }

    function signedBy(uint256 key, Permit memory permit) internal view returns (bytes memory) {
        return Permits.sign(key, Permits.digestOf(permit, block.chainid, address(songs)));
    }

    function signedPacked(address to, string memory uri, bytes32 audioHash) internal pure returns (bytes memory) {
        return Permits.sign(PACKED_KEY, Permits.packedDigestOf(to, uri, audioHash));
    }

    function mint(Permit memory permit, bytes memory signature) internal {
        songs.mint(permit.to, permit.audioHash, permit.metadataDigest, permit.deadline, signature);
    }

    /// @dev The call reverts because the signature is whole, but no trusted account's.
    function expectUntrusted(address signer, bytes32 role) internal {
        VM.expectRevert(abi.encodeWithSelector(SongNFT.SignerNotTrusted.selector, signer, role));
    }

    /// @dev Who seems to have signed `digest`.
    function recovered(bytes32 digest, bytes memory signature) internal pure returns (address) {
        (bytes32 r, bytes32 s, uint8 v) = Permits.split(signature);
        return ecrecover(digest, v, r, s);
    }
}

/// @dev Tests inherit from it.
abstract contract CollectionTest is Collection {
    function setUp() public {
        VM.warp(NOW);
        songs = deployed();
    }
}
