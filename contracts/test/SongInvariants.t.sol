// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {RawCid} from "../src/RawCid.sol";
import {SongNFT} from "../src/SongNFT.sol";
import {Collection} from "./Collection.sol";
import {Permit, Permits} from "./Permits.sol";
import {VM} from "./Vm.sol";

/// @dev Writes down every token that comes to be, whatever way it takes.
contract WatchedSongs is SongNFT {
    uint256[] public born;
    bool public anyGone;

    constructor(address admin) SongNFT(admin, admin, 500, "") {}

    function bornCount() external view returns (uint256) {
        return born.length;
    }

    function _update(address to, uint256 tokenId, address auth) internal override returns (address from) {
        from = super._update(to, tokenId, auth);
        if (from == address(0)) born.push(tokenId);
        if (to == address(0)) anyGone = true;
    }
}

/**
 * @dev What happens to a collection in its life, in any order: permits of signers who are trusted at the time or not,
 * old permits again, forgeries, roles given and taken, pauses, sales, time. Forge calls these functions at random, and
 * those of the collection itself from accounts without a role.
 */
contract CollectionsLife is Collection {
    /// @dev A signed permit and the call that brings it.
    struct Brought {
        address sender;
        uint256 key;
        bytes32 role;
        bytes32 audioHash;
        string uri; // empty: none
        uint256 deadline;
        bytes call;
    }

    uint256 private constant ACCOUNTS = 4;
    uint256 private constant KEYS = 4;

    WatchedSongs public watched;

    /// @dev Tokens that a permit of a signer trusted at the time has made, in order, and the hash of the URI that each
    /// one's permit named.
    uint256[] public permitted;
    mapping(uint256 tokenId => bytes32) public uriHash;
    /// @dev Permits that did not mint though all was well, or minted though something was not.
    uint256 public surprises;

    Brought[] private _brought;

    constructor() {
        songs = deployed();
        watched = WatchedSongs(address(songs));
    }

    function newCollection() internal override returns (SongNFT) {
        return new WatchedSongs(ADMIN);
    }

    function permittedCount() external view returns (uint256) {
        return permitted.length;
    }

    function accountsSongs() external view returns (uint256 sum) {
        for (uint256 i = 0; i < ACCOUNTS; i++) {
            sum += songs.balanceOf(account(i));
        }
    }

    function bringEip712(uint256 key, uint256 to, uint256 song, bytes32 digest, uint16 longer, uint256 sender)
        external
    {
        Permit memory permit = Permit(account(to), songOf(song), digest, block.timestamp + longer);
        string memory uri = digest == 0 ? "" : RawCid.uri(digest);
        bytes memory call = abi.encodeWithSignature(
            "mint(address,bytes32,bytes32,uint256,bytes)",
            permit.to,
            permit.audioHash,
            permit.metadataDigest,
            permit.deadline,
            signedBy(keyOf(key), permit)
        );
        _brought.push(Brought(account(sender), keyOf(key), eip712Role, permit.audioHash, uri, permit.deadline, call));
        bring(_brought[_brought.length - 1]);
    }

    function bringPacked(uint256 key, uint256 to, uint256 song, string calldata uri) external {
        bytes32 digest = Permits.packedDigestOf(account(to), uri, songOf(song));
        bytes memory signature = Permits.sign(keyOf(key), digest);
        bytes memory call = abi.encodeWithSignature("mint(string,bytes32,bytes)", uri, songOf(song), signature);
        _brought.push(Brought(account(to), keyOf(key), packedRole, songOf(song), uri, type(uint256).max, call));
        bring(_brought[_brought.length - 1]);
    }

    /// @dev After its signer's role, the clock or a pause may have changed, or the song has been minted.
    function bringAgain(uint256 index) external {
        if (_brought.length != 0) bring(_brought[index % _brought.length]);
    }

    function bringForged(uint256 to, uint256 song, bytes32 digest, bytes calldata signature) external {
        VM.prank(account(to));
        (bool eip712,) = address(songs)
            .call(
                abi.encodeWithSignature(
                    "mint(address,bytes32,bytes32,uint256,bytes)",
                    account(to),
                    songOf(song),
                    digest,
                    block.timestamp,
                    signature
                )
            );
        VM.prank(account(to));
        (bool packed,) =
            address(songs).call(abi.encodeWithSignature("mint(string,bytes32,bytes)", URI, songOf(song), signature));
        if (eip712 || packed) surprises++;
    }

    function rotate(uint256 key, bool packed, bool trusted) external {
        bytes32 role = packed ? packedRole : eip712Role;
        if (trusted) grant(songs, role, VM.addr(keyOf(key)));
        else revoke(songs, role, VM.addr(keyOf(key)));
    }

    function pauseOrGoOn(uint8 dice) external {
        bool paused = songs.paused();
        // Less often paused than not: little happens in a pause.
        if (!paused && dice >= 64) return;
        VM.prank(ADMIN);
        if (paused) songs.unpause();
        else songs.pause();
    }

    function sell(uint256 index, uint256 to) external {
        if (permitted.length == 0) return;
        uint256 tokenId = permitted[index % permitted.length];
        address owner = songs.ownerOf(tokenId);
        VM.prank(owner);
        songs.transferFrom(owner, account(to), tokenId);
    }

    function administer(address royaltyReceiver, uint96 points, string calldata uri) external {
        VM.prank(ADMIN);
        songs.setContractURI(uri);
        if (royaltyReceiver == address(0)) return;
        VM.prank(ADMIN);
        songs.setRoyalty(royaltyReceiver, points % 10_001);
    }

    function letTimePass(uint16 duration) external {
        VM.warp(block.timestamp + duration);
    }

    function bring(Brought memory permit) private {
        bool trusted = songs.hasRole(permit.role, VM.addr(permit.key));
        bool inTime = block.timestamp <= permit.deadline;
        bool good = trusted && inTime && bytes(permit.uri).length != 0 && !songs.paused() && !exists(permit.audioHash);
        VM.prank(permit.sender);
        (bool minted,) = address(songs).call(permit.call);
        if (minted != good) surprises++;
        if (!minted) return;
        uint256 tokenId = uint256(permit.audioHash);
        permitted.push(tokenId);
        uriHash[tokenId] = keccak256(bytes(permit.uri));
    }

    function exists(bytes32 audioHash) private view returns (bool) {
        try songs.ownerOf(uint256(audioHash)) {
            return true;
        } catch {
            return false;
        }
    }

    function account(uint256 index) private pure returns (address) {
        return VM.addr(100 + (index % ACCOUNTS));
    }

    function keyOf(uint256 index) private pure returns (uint256) {
        return [SIGNER_KEY, PACKED_KEY, FORMER_KEY, STRANGER_KEY][index % KEYS];
    }

    /// @dev Few enough that songs are asked for again.
    function songOf(uint256 index) private pure returns (bytes32) {
        return sha256(abi.encode(index % 64));
    }
}

contract SongInvariants {
    CollectionsLife private _life;
    WatchedSongs private _songs;

    function setUp() public {
        _life = new CollectionsLife();
        _songs = _life.watched();
    }

    /// @dev Whose functions Forge calls.
    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](2);
        (targets[0], targets[1]) = (address(_life), address(_songs));
    }

    /// @dev Who calls them: nobody who holds a role or a song.
    function targetSenders() public pure returns (address[] memory senders) {
        senders = new address[](2);
        (senders[0], senders[1]) = (VM.addr(0xdead), VM.addr(0xbeef));
    }

    function invariant_no_token_came_without_a_permit_of_a_signer_trusted_at_the_time() public view {
        VM.assertEq(_life.surprises(), 0, "surprises");
        VM.assertEq(_songs.bornCount(), _life.permittedCount(), "tokens and permits");
    }

    function invariant_token_ids_are_audio_hashes_of_their_permits_and_each_is_there_once() public view {
        for (uint256 i = 0; i < _songs.bornCount(); i++) {
            VM.assertEq(_songs.born(i), _life.permitted(i), "token id");
            for (uint256 j = 0; j < i; j++) {
                VM.assertTrue(_songs.born(i) != _songs.born(j), "minted twice");
            }
        }
    }

    function invariant_uris_are_those_of_their_permits_and_never_change() public view {
        for (uint256 i = 0; i < _life.permittedCount(); i++) {
            uint256 tokenId = _life.permitted(i);
            VM.assertEq(keccak256(bytes(_songs.tokenURI(tokenId))), _life.uriHash(tokenId), "uri");
        }
    }

    function invariant_there_are_as_many_tokens_as_songs_and_none_is_gone() public view {
        VM.assertEq(_life.accountsSongs(), _life.permittedCount(), "supply");
        VM.assertTrue(!_songs.anyGone(), "burned");
    }
}
