// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CollectionTest} from "./Collection.sol";
import {Permit, Permits} from "./Permits.sol";
import {VM} from "./Vm.sol";

/**
 * @dev 10,000 permits with any number of defects each, in one collection per 2,000: those without a defect mint, all
 * others revert. Defects are independent and none makes up for another, so `defects == 0` is all there is to know.
 */
contract RandomPermitsTest is CollectionTest {
    using Permits for bytes;

    // Of one permit in this many, each defect is one; so about two permits in five are flawless.
    uint256 private constant ONE_IN = 16;
    uint256 private constant PERMITS = 2_000;

    // One bit each. Those from HIGH_S on are forms of the signature, of which it has one only.
    uint256 private constant PAUSED = 1 << 0;
    uint256 private constant ALREADY_MINTED = 1 << 1;
    uint256 private constant ZERO_ADDRESS = 1 << 2;
    uint256 private constant NO_METADATA = 1 << 3;
    uint256 private constant EXPIRED = 1 << 4; // EIP-712 only, like the next three
    uint256 private constant OTHER_CHAIN = 1 << 5;
    uint256 private constant OTHER_CONTRACT = 1 << 6;
    uint256 private constant OTHER_DEADLINE = 1 << 7;
    uint256 private constant OTHER_RECEIVER = 1 << 8; // packed: the sender
    uint256 private constant OTHER_SONG = 1 << 9;
    uint256 private constant OTHER_METADATA = 1 << 10;
    uint256 private constant FORMER_SIGNER = 1 << 11;
    uint256 private constant OTHER_FORMATS_SIGNER = 1 << 12;
    uint256 private constant HIGH_S = 1 << 13;
    uint256 private constant COMPACT = 1 << 14;
    uint256 private constant CUT = 1 << 15;
    uint256 private constant EXTENDED = 1 << 16;

    uint256 private _state;
    bytes32[] private _minted;

    /// forge-config: default.fuzz.runs = 5
    function testFuzz_of_10_000_random_permits_exactly_the_valid_ones_mint(uint256 seed) public {
        _state = seed;
        uint256 expected = 0;
        uint256 seenAlone = 0;
        for (uint256 i = 0; i < PERMITS; i++) {
            (uint256 defects, bool minted) = this.bringOne(); // a call, so that its memory is given back
            VM.assertTrue(minted == (defects == 0), minted ? "minted with a defect" : "a valid permit was refused");
            if (defects == 0) expected++;
            else if (defects & (defects - 1) == 0) seenAlone |= defects;
        }
        VM.assertEq(_minted.length, expected, "minted");
        VM.assertTrue(expected > PERMITS / 5 && expected < PERMITS, "a mixture of good and bad");
        VM.assertEq(seenAlone, 2 * EXTENDED - 1, "each defect was the only one of some permit");
        for (uint256 i = 0; i < _minted.length; i++) {
            songs.ownerOf(uint256(_minted[i]));
        }
    }

    function bringOne() external returns (uint256 defects, bool minted) {
        bool packed = random(2) == 0;
        defects = randomDefects(packed);
        bytes32 audioHash = bytes32(next());
        if (defects & ALREADY_MINTED != 0) audioHash = _minted[random(_minted.length)];
        if (defects & PAUSED != 0) setPaused(true);
        minted = packed ? bringPacked(defects, audioHash) : bringEip712(defects, audioHash);
        if (defects & PAUSED != 0) setPaused(false);
        if (minted) _minted.push(audioHash);
    }

    function bringEip712(uint256 defects, bytes32 audioHash) private returns (bool minted) {
        Permit memory permit = Permit(randomAddress(), audioHash, bytes32(next()), NOW + random(1 hours));
        if (defects & ZERO_ADDRESS != 0) permit.to = address(0);
        if (defects & NO_METADATA != 0) permit.metadataDigest = 0;
        if (defects & EXPIRED != 0) permit.deadline = random(NOW);
        bytes32 digest = Permits.digestOf(
            permit,
            defects & OTHER_CHAIN != 0 ? 1 + random(1e6) + block.chainid : block.chainid,
            defects & OTHER_CONTRACT != 0 ? randomAddress() : address(songs)
        );
        bytes memory signature = signatureOf(defects, digest, SIGNER_KEY, PACKED_KEY);
        if (defects & OTHER_RECEIVER != 0) permit.to = randomAddress();
        if (defects & OTHER_SONG != 0) permit.audioHash = bytes32(next());
        if (defects & OTHER_METADATA != 0) permit.metadataDigest = bytes32(next());
        if (defects & OTHER_DEADLINE != 0) permit.deadline += 1 + random(1 hours);
        VM.prank(randomAddress());
        try songs.mint(permit.to, permit.audioHash, permit.metadataDigest, permit.deadline, signature) {
            return true;
        } catch {
            return false;
        }
    }

    function bringPacked(uint256 defects, bytes32 audioHash) private returns (bool minted) {
        address to = defects & ZERO_ADDRESS != 0 ? address(0) : randomAddress();
        string memory uri = defects & NO_METADATA != 0 ? "" : randomUri();
        bytes32 digest = Permits.packedDigestOf(to, uri, audioHash);
        bytes memory signature = signatureOf(defects, digest, PACKED_KEY, SIGNER_KEY);
        if (defects & OTHER_SONG != 0) audioHash = bytes32(next());
        if (defects & OTHER_METADATA != 0) uri = string.concat(uri, "x");
        if (defects & OTHER_RECEIVER != 0) to = randomAddress();
        VM.prank(to);
        try songs.mint(uri, audioHash, signature) {
            return true;
        } catch {
            return false;
        }
    }

    function signatureOf(uint256 defects, bytes32 digest, uint256 key, uint256 otherFormatsKey)
        private
        pure
        returns (bytes memory signature)
    {
        if (defects & OTHER_FORMATS_SIGNER != 0) key = otherFormatsKey;
        if (defects & FORMER_SIGNER != 0) key = FORMER_KEY;
        signature = Permits.sign(key, digest);
        if (defects & HIGH_S != 0) return signature.highS();
        if (defects & COMPACT != 0) return signature.compact();
        if (defects & CUT != 0) return signature.resized(uint256(digest) % 65);
        if (defects & EXTENDED != 0) return signature.resized(66 + (uint256(digest) % 65));
    }

    function randomDefects(bool packed) private returns (uint256 defects) {
        for (uint256 defect = 1; defect < HIGH_S; defect <<= 1) {
            if (random(ONE_IN) == 0) defects |= defect;
        }
        if (random(ONE_IN / 4) == 0) defects |= HIGH_S << random(4);
        if (packed) defects &= ~(EXPIRED | OTHER_CHAIN | OTHER_CONTRACT | OTHER_DEADLINE);
        if (_minted.length == 0) defects &= ~ALREADY_MINTED;
    }

    function setPaused(bool paused) private {
        VM.prank(ADMIN);
        if (paused) songs.pause();
        else songs.unpause();
    }

    function randomUri() private returns (string memory) {
        return string(abi.encodePacked("ipfs://", next(), next()));
    }

    function randomAddress() private returns (address) {
        return address(uint160(next()) | 1);
    }

    function random(uint256 below) private returns (uint256) {
        return next() % below;
    }

    function next() private returns (uint256) {
        return _state = uint256(keccak256(abi.encode(_state)));
    }
}
