// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {IERC721Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {ERC2981} from "@openzeppelin/contracts/token/common/ERC2981.sol";
import {SongNFT} from "../src/SongNFT.sol";
import {CollectionTest} from "./Collection.sol";
import {VM} from "./Vm.sol";

contract AdministrationTest is CollectionTest {
    bytes32 private constant ADMIN_ROLE = 0;

    function test_a_collection_without_an_admin_is_not_deployed() public {
        VM.expectRevert(abi.encodeWithSelector(SongNFT.AdminMissing.selector));
        new SongNFT(address(0), ADMIN, 500, "");
    }

    function testFuzz_the_admin_alone_grants_roles_and_moves_royalty_and_uri(address sender, bytes32 role) public {
        VM.assume(sender != ADMIN);
        expectUnauthorized(sender, ADMIN_ROLE);
        songs.grantRole(role, sender);
        expectUnauthorized(sender, ADMIN_ROLE);
        songs.revokeRole(role, ADMIN);
        expectUnauthorized(sender, ADMIN_ROLE);
        songs.setRoyalty(sender, 1);
        expectUnauthorized(sender, ADMIN_ROLE);
        songs.setContractURI("x");
    }

    function testFuzz_pausers_alone_pause(address sender) public {
        VM.assume(sender != ADMIN);
        bytes32 role = songs.PAUSER_ROLE();
        expectUnauthorized(sender, role);
        songs.pause();
        VM.prank(ADMIN);
        songs.pause();
        expectUnauthorized(sender, role);
        songs.unpause();
    }

    function test_signers_have_no_power_but_to_sign() public {
        expectUnauthorized(VM.addr(SIGNER_KEY), ADMIN_ROLE);
        songs.grantRole(eip712Role, STRANGER);
        expectUnauthorized(VM.addr(SIGNER_KEY), songs.PAUSER_ROLE());
        songs.pause();
    }

    function testFuzz_royalty_is_the_same_for_every_song(uint256 tokenId, address receiver, uint96 points) public {
        VM.assume(receiver != address(0));
        points = points % 10_001;
        VM.expectEmit(address(songs));
        emit SongNFT.RoyaltyUpdated(receiver, points);
        VM.prank(ADMIN);
        songs.setRoyalty(receiver, points);
        (address to, uint256 amount) = songs.royaltyInfo(tokenId, 1 ether);
        VM.assertEq(to, receiver, "receiver");
        VM.assertEq(amount, (1 ether * uint256(points)) / 10_000, "amount");
    }

    function test_a_royalty_above_the_price_is_refused() public {
        VM.expectRevert(
            abi.encodeWithSelector(ERC2981.ERC2981InvalidDefaultRoyalty.selector, uint256(10_001), uint256(10_000))
        );
        VM.prank(ADMIN);
        songs.setRoyalty(ADMIN, 10_001);
    }

    function test_the_collections_uri_moves_and_no_songs() public {
        mint(permitFor("song"), signed(permitFor("song")));
        VM.expectEmit(address(songs));
        emit SongNFT.ContractURIUpdated();
        VM.prank(ADMIN);
        songs.setContractURI("ipfs://new");
        VM.assertEq(songs.contractURI(), "ipfs://new", "collection");
        VM.assertEq(songs.tokenURI(uint256(bytes32("song"))), URI, "song");
    }

    function testFuzz_a_song_that_was_not_minted_has_no_uri(uint256 tokenId) public {
        VM.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, tokenId));
        songs.tokenURI(tokenId);
    }

    function test_songs_change_hands_while_mints_are_paused() public {
        mint(permitFor("song"), signed(permitFor("song")));
        VM.prank(ADMIN);
        songs.pause();
        VM.prank(CREATOR);
        songs.transferFrom(CREATOR, STRANGER, uint256(bytes32("song")));
        VM.assertEq(songs.ownerOf(uint256(bytes32("song"))), STRANGER, "owner");
    }

    /// @dev The next call is `sender`'s, who lacks `role`.
    function expectUnauthorized(address sender, bytes32 role) private {
        VM.expectRevert(abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, sender, role));
        VM.prank(sender);
    }
}
