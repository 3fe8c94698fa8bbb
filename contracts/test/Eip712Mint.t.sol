// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC721Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {SongNFT} from "../src/SongNFT.sol";
import {CollectionTest} from "./Collection.sol";
import {Permit, Permits} from "./Permits.sol";
import {VM} from "./Vm.sol";

contract Eip712MintTest is CollectionTest {
    using Permits for bytes;

    function testFuzz_a_permit_mints_its_song_to_its_creator_whoever_brings_it(
        address to,
        address bringer,
        bytes32 audioHash,
        bytes32 metadataDigest,
        uint256 deadline
    ) public {
        VM.assume(to != address(0) && metadataDigest != 0);
        deadline = NOW + (deadline % (type(uint256).max - NOW));
        Permit memory permit = Permit(to, audioHash, metadataDigest, deadline);
        bytes memory signature = signed(permit);
        VM.expectEmit(address(songs));
        emit SongNFT.SongMinted(uint256(audioHash), VM.addr(SIGNER_KEY));
        VM.prank(bringer);
        mint(permit, signature);
        VM.assertEq(songs.ownerOf(uint256(audioHash)), to, "owner");
    }

    function test_a_permit_is_good_once() public {
        Permit memory permit = permitFor("song");
        mint(permit, signed(permit));
        bytes memory again = signed(permit);
        VM.expectRevert(abi.encodeWithSelector(SongNFT.SongAlreadyMinted.selector, permit.audioHash, CREATOR));
        mint(permit, again);
    }

    function testFuzz_a_song_is_minted_once_whatever_a_second_permit_says(address to, bytes32 metadataDigest, bool sold)
        public
    {
        VM.assume(to != address(0) && metadataDigest != 0);
        mint(permitFor("song"), signed(permitFor("song")));
        if (sold) {
            VM.prank(CREATOR);
            songs.transferFrom(CREATOR, STRANGER, uint256(bytes32("song")));
        }
        Permit memory second = Permit(to, "song", metadataDigest, NOW);
        bytes memory signature = signed(second);
        address owner = sold ? STRANGER : CREATOR;
        VM.expectRevert(abi.encodeWithSelector(SongNFT.SongAlreadyMinted.selector, bytes32("song"), owner));
        mint(second, signature);
    }

    function test_a_permit_is_not_good_on_another_contract() public {
        Permit memory permit = permitFor("song");
        bytes memory signature = signed(permit);
        songs = deployed();
        address seeming = recovered(Permits.digestOf(permit, block.chainid, address(songs)), signature);
        expectUntrusted(seeming, eip712Role);
        mint(permit, signature);
    }

    function testFuzz_a_permit_is_not_good_on_another_chain(uint64 chainId) public {
        VM.assume(chainId != 0 && chainId != block.chainid);
        Permit memory permit = permitFor("song");
        bytes memory signature = signed(permit);
        uint256 home = block.chainid;
        VM.chainId(chainId); // as after a fork of the chain: the same contract, the same signers
        address seeming = recovered(Permits.digestOf(permit, chainId, address(songs)), signature);
        expectUntrusted(seeming, eip712Role);
        mint(permit, signature);
        VM.chainId(home);
        mint(permit, signature);
    }

    function testFuzz_a_permit_is_good_until_its_deadline_and_not_a_second_longer(uint32 early, uint32 late) public {
        VM.assume(late != 0);
        Permit memory permit = permitFor("song");
        permit.deadline = NOW + early;
        bytes memory signature = signed(permit);
        VM.warp(permit.deadline + late);
        VM.expectRevert(abi.encodeWithSelector(SongNFT.PermitExpired.selector, permit.deadline));
        mint(permit, signature);
        VM.warp(permit.deadline);
        mint(permit, signature);
    }

    function testFuzz_a_permit_says_nothing_of_another_song(Permit memory other) public {
        Permit memory permit = permitFor("song");
        VM.assume(other.metadataDigest != 0 && other.deadline >= NOW);
        VM.assume(keccak256(abi.encode(other)) != keccak256(abi.encode(permit)));
        bytes memory signature = signed(permit);
        address seeming = recovered(Permits.digestOf(other, block.chainid, address(songs)), signature);
        expectUntrusted(seeming, eip712Role);
        mint(other, signature);
    }

    function testFuzz_a_signature_in_its_high_s_form_is_refused(bytes32 audioHash) public {
        Permit memory permit = permitFor(audioHash);
        bytes memory signature = signed(permit).highS();
        bytes32 digest = Permits.digestOf(permit, block.chainid, address(songs));
        VM.assertEq(recovered(digest, signature), VM.addr(SIGNER_KEY), "the bare precompile takes it");
        (, bytes32 s,) = Permits.split(signature);
        VM.expectRevert(abi.encodeWithSelector(ECDSA.ECDSAInvalidSignatureS.selector, s));
        mint(permit, signature);
    }

    function testFuzz_a_signature_in_its_compact_form_is_refused(bytes32 audioHash) public {
        Permit memory permit = permitFor(audioHash);
        bytes memory signature = signed(permit).compact();
        VM.expectRevert(abi.encodeWithSelector(ECDSA.ECDSAInvalidSignatureLength.selector, 64));
        mint(permit, signature);
    }

    function testFuzz_a_signature_of_another_length_is_refused(uint8 length) public {
        VM.assume(length != 65);
        Permit memory permit = permitFor("song");
        bytes memory signature = signed(permit).resized(length);
        VM.expectRevert(abi.encodeWithSelector(ECDSA.ECDSAInvalidSignatureLength.selector, uint256(length)));
        mint(permit, signature);
    }

    function testFuzz_bytes_that_are_no_signature_mint_nothing(bytes32 r, bytes32 s, uint8 v) public {
        Permit memory permit = permitFor("song");
        (bool minted,) = address(songs)
            .call(
                abi.encodeWithSignature(
                    "mint(address,bytes32,bytes32,uint256,bytes)",
                    permit.to,
                    permit.audioHash,
                    permit.metadataDigest,
                    permit.deadline,
                    abi.encodePacked(r, s, v)
                )
            );
        VM.assertTrue(!minted, "minted");
    }

    function test_a_v_of_zero_or_one_is_refused() public {
        Permit memory permit = permitFor("song");
        bytes memory signature = signed(permit);
        signature[64] = bytes1(uint8(signature[64]) - 27);
        VM.expectRevert(abi.encodeWithSelector(ECDSA.ECDSAInvalidSignature.selector));
        mint(permit, signature);
    }

    function testFuzz_nobody_elses_signature_is_trusted(uint128 key) public {
        VM.assume(key != 0 && key != SIGNER_KEY);
        Permit memory permit = permitFor("song");
        bytes memory signature = signedBy(key, permit);
        expectUntrusted(VM.addr(key), eip712Role);
        mint(permit, signature);
    }

    function test_the_packed_formats_signer_is_not_trusted_here() public {
        Permit memory permit = permitFor("song");
        bytes memory signature = signedBy(PACKED_KEY, permit);
        expectUntrusted(VM.addr(PACKED_KEY), eip712Role);
        mint(permit, signature);
    }

    function test_revoking_the_role_voids_what_was_signed_before() public {
        Permit memory permit = permitFor("song");
        bytes memory signature = signed(permit);
        revoke(songs, eip712Role, VM.addr(SIGNER_KEY));
        expectUntrusted(VM.addr(SIGNER_KEY), eip712Role);
        mint(permit, signature);
    }

    function test_two_signers_overlap_while_keys_are_rotated() public {
        grant(songs, eip712Role, VM.addr(FORMER_KEY));
        mint(permitFor("one"), signedBy(SIGNER_KEY, permitFor("one")));
        mint(permitFor("two"), signedBy(FORMER_KEY, permitFor("two")));
        VM.assertEq(songs.balanceOf(CREATOR), 2, "songs");
    }

    function test_nothing_is_minted_to_the_zero_address() public {
        Permit memory permit = permitFor("song");
        permit.to = address(0);
        bytes memory signature = signed(permit);
        VM.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721InvalidReceiver.selector, address(0)));
        mint(permit, signature);
    }

    function test_a_token_is_never_without_metadata() public {
        Permit memory permit = permitFor("song");
        permit.metadataDigest = 0;
        bytes memory signature = signed(permit);
        VM.expectRevert(abi.encodeWithSelector(SongNFT.MetadataMissing.selector, permit.audioHash));
        mint(permit, signature);
    }

    function test_a_pause_stops_mints_until_it_is_lifted() public {
        Permit memory permit = permitFor("song");
        bytes memory signature = signed(permit);
        VM.prank(ADMIN);
        songs.pause();
        VM.expectRevert(abi.encodeWithSelector(Pausable.EnforcedPause.selector));
        mint(permit, signature);
        VM.prank(ADMIN);
        songs.unpause();
        mint(permit, signature);
    }
}
