// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {RawCid} from "../src/RawCid.sol";
import {CollectionTest} from "./Collection.sol";
import {Permit} from "./Permits.sol";
import {VM} from "./Vm.sol";

/// @dev Base32 of anything, from RFC 4648 and bit by bit; `RawCid` goes the other way and knows its prefix by heart.
library Base32 {
    function encode(bytes memory data) internal pure returns (string memory) {
        bytes memory text;
        for (uint256 first = 0; first < data.length * 8; first += 5) {
            uint256 letter = 0;
            for (uint256 bit = first; bit < first + 5; bit++) {
                bool set = bit < data.length * 8 && (uint8(data[bit / 8]) >> (7 - (bit % 8))) & 1 == 1;
                letter = letter * 2 + (set ? 1 : 0);
            }
            text = bytes.concat(text, bytes1(uint8(letter < 26 ? 97 + letter : 50 + letter - 26)));
        }
        return string(text);
    }
}

contract RawCidTest is CollectionTest {
    function testFuzz_the_uri_is_the_base32_of_the_binary_cid(bytes32 digest) public pure {
        string memory expected = string.concat("ipfs://b", Base32.encode(bytes.concat(hex"01551220", digest)));
        VM.assertEq(RawCid.uri(digest), expected, "uri");
    }

    /// @dev Digests that random ones never are: one bit set, or all but one.
    function test_every_bit_of_the_digest_has_its_place() public pure {
        for (uint256 bit = 0; bit < 256; bit++) {
            testFuzz_the_uri_is_the_base32_of_the_binary_cid(bytes32(1 << bit));
            testFuzz_the_uri_is_the_base32_of_the_binary_cid(~bytes32(1 << bit));
        }
    }

    /// @dev As `printf 'hello world' | ipfs add --cid-version=1` prints it.
    function test_a_block_has_the_cid_that_kubo_gives_it() public pure {
        VM.assertEq(RawCid.uri(sha256("hello world")), URI, "uri");
    }

    function test_the_base32_it_is_compared_with_is_that_of_the_rfc() public pure {
        VM.assertEq(Base32.encode("foobar"), "mzxw6ytboi", "RFC 4648, section 10");
        VM.assertEq(Base32.encode("fooba"), "mzxw6ytb", "RFC 4648, section 10");
        VM.assertEq(Base32.encode("f"), "my", "RFC 4648, section 10");
    }

    function testFuzz_a_minted_song_has_the_uri_of_its_digest(bytes32 audioHash, bytes32 digest) public {
        VM.assume(digest != 0);
        Permit memory permit = permitFor(audioHash);
        permit.metadataDigest = digest;
        mint(permit, signed(permit));
        string memory uri = songs.tokenURI(uint256(audioHash));
        VM.assertEq(uri, string.concat("ipfs://b", Base32.encode(bytes.concat(hex"01551220", digest))), "uri");
    }
}
