// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC721Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {SongNFT} from "../src/SongNFT.sol";
import {CollectionTest} from "./Collection.sol";
import {Permit, Permits} from "./Permits.sol";
import {VM} from "./Vm.sol";

contract PackedMintTest is CollectionTest {
    using Permits for bytes;

    function testFuzz_a_permit_mints_to_its_sender_and_the_uri_is_stored_as_it_is(
        address to,
        string memory uri,
        bytes32 audioHash
    ) public {
        VM.assume(to != address(0) && bytes(uri).length != 0);
        bytes memory signature = signedPacked(to, uri, audioHash);
        VM.expectEmit(address(songs));
        emit SongNFT.SongMinted(uint256(audioHash), VM.addr(PACKED_KEY));
        VM.prank(to);
        songs.mint(uri, audioHash, signature);
        VM.assertEq(songs.ownerOf(uint256(audioHash)), to, "owner");
        VM.assertEq(songs.tokenURI(uint256(audioHash)), uri, "uri");
    }

    function testFuzz_nobody_else_can_bring_it(address sender) public {
        VM.assume(sender != CREATOR);
        bytes memory signature = signedPacked(CREATOR, URI, "song");
        address seeming = recovered(Permits.packedDigestOf(sender, URI, "song"), signature);
        expectUntrusted(seeming, packedRole);
        VM.prank(sender);
        songs.mint(URI, "song", signature);
    }

    function testFuzz_a_permit_says_nothing_of_another_song(string memory uri, bytes32 audioHash) public {
        VM.assume(bytes(uri).length != 0);
        VM.assume(audioHash != "song" || keccak256(bytes(uri)) != keccak256(bytes(URI)));
        bytes memory signature = signedPacked(CREATOR, URI, "song");
        address seeming = recovered(Permits.packedDigestOf(CREATOR, uri, audioHash), signature);
        expectUntrusted(seeming, packedRole);
        VM.prank(CREATOR);
        songs.mint(uri, audioHash, signature);
    }

    function test_a_song_is_minted_once_in_either_format() public {
        bytes memory signature = signedPacked(CREATOR, URI, "song");
        mint(permitFor("song"), signed(permitFor("song")));
        VM.expectRevert(abi.encodeWithSelector(SongNFT.SongAlreadyMinted.selector, bytes32("song"), CREATOR));
        VM.prank(CREATOR);
        songs.mint(URI, "song", signature);

        Permit memory permit = permitFor("other");
        bytes memory eip712 = signed(permit);
        bytes memory packed = signedPacked(CREATOR, URI, "other");
        VM.prank(CREATOR);
        songs.mint(URI, "other", packed);
        VM.expectRevert(abi.encodeWithSelector(SongNFT.SongAlreadyMinted.selector, bytes32("other"), CREATOR));
        mint(permit, eip712);
    }

    /// @dev What the format cannot prevent and `SongNFT` says that it does not: hence one key per chain and contract.
    function test_a_packed_permit_mints_again_wherever_its_signer_is_trusted_and_only_there() public {
        bytes memory signature = signedPacked(CREATOR, URI, "song");
        VM.prank(CREATOR);
        songs.mint(URI, "song", signature);
        songs = deployed();
        revoke(songs, packedRole, VM.addr(PACKED_KEY)); // a contract with a packed key of its own
        expectUntrusted(VM.addr(PACKED_KEY), packedRole);
        VM.prank(CREATOR);
        songs.mint(URI, "song", signature);
        grant(songs, packedRole, VM.addr(PACKED_KEY));
        VM.warp(NOW + 3650 days);
        VM.prank(CREATOR);
        songs.mint(URI, "song", signature);
    }

    function test_the_role_is_off_until_somebody_gets_it() public {
        songs = newCollection();
        bytes memory signature = signedPacked(CREATOR, URI, "song");
        expectUntrusted(VM.addr(PACKED_KEY), packedRole);
        VM.prank(CREATOR);
        songs.mint(URI, "song", signature);
    }

    function test_the_signer_of_eip712_permits_is_not_trusted_here() public {
        bytes memory signature = Permits.sign(SIGNER_KEY, Permits.packedDigestOf(CREATOR, URI, "song"));
        expectUntrusted(VM.addr(SIGNER_KEY), packedRole);
        VM.prank(CREATOR);
        songs.mint(URI, "song", signature);
    }

    function testFuzz_signatures_in_other_forms_are_refused(bytes32 audioHash, uint8 length) public {
        VM.assume(length != 65);
        bytes memory signature = signedPacked(CREATOR, URI, audioHash);
        bytes memory high = signature.highS();
        (, bytes32 s,) = Permits.split(high);
        VM.expectRevert(abi.encodeWithSelector(ECDSA.ECDSAInvalidSignatureS.selector, s));
        VM.prank(CREATOR);
        songs.mint(URI, audioHash, high);

        VM.expectRevert(abi.encodeWithSelector(ECDSA.ECDSAInvalidSignatureLength.selector, 64));
        VM.prank(CREATOR);
        songs.mint(URI, audioHash, signature.compact());

        VM.expectRevert(abi.encodeWithSelector(ECDSA.ECDSAInvalidSignatureLength.selector, uint256(length)));
        VM.prank(CREATOR);
        songs.mint(URI, audioHash, signature.resized(length));
    }

    function test_nothing_is_minted_to_the_zero_address() public {
        bytes memory signature = signedPacked(address(0), URI, "song");
        VM.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721InvalidReceiver.selector, address(0)));
        VM.prank(address(0));
        songs.mint(URI, "song", signature);
    }

    function test_a_token_is_never_without_metadata() public {
        bytes memory signature = signedPacked(CREATOR, "", "song");
        VM.expectRevert(abi.encodeWithSelector(SongNFT.MetadataMissing.selector, bytes32("song")));
        VM.prank(CREATOR);
        songs.mint("", "song", signature);
    }

    function test_a_pause_stops_packed_mints_too() public {
        bytes memory signature = signedPacked(CREATOR, URI, "song");
        VM.prank(ADMIN);
        songs.pause();
        VM.expectRevert(abi.encodeWithSelector(Pausable.EnforcedPause.selector));
        VM.prank(CREATOR);
        songs.mint(URI, "song", signature);
    }
}
