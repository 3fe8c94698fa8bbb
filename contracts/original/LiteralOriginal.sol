// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {ERC721URIStorage} from "@openzeppelin/contracts/token/ERC721/extensions/ERC721URIStorage.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";

/**
 * @title What the platform's description gives when it is taken literally
 * @notice Never deploy it: it is here to be measured beside `SongNFT` (`make gas`). Single use hangs on the bytes of a
 * signature, so a second permit for the same recording mints a second token, here or on any other chain, for ever.
 */
contract LiteralOriginal is ERC721URIStorage, Ownable {
    mapping(bytes signature => bool) public usedSignatures;
    mapping(uint256 tokenId => bytes32) public audioHashes;

    address private _signer;
    uint256 private _nextTokenId;

    event SongMinted(address indexed to, uint256 indexed tokenId, string metadataURI);

    error SignatureUsed(bytes signature);
    error SignerNotTrusted(address signer);

    constructor(address signer) ERC721("Songs", "SONG") Ownable(msg.sender) {
        _signer = signer;
    }

    function mint(string calldata metadataURI, bytes32 audioHash, bytes calldata signature) external {
        if (usedSignatures[signature]) revert SignatureUsed(signature);
        bytes32 digest = keccak256(abi.encodePacked(msg.sender, metadataURI, audioHash));
        address signer = ECDSA.recoverCalldata(MessageHashUtils.toEthSignedMessageHash(digest), signature);
        if (signer != _signer) revert SignerNotTrusted(signer);
        usedSignatures[signature] = true;
        uint256 tokenId = _nextTokenId++;
        _safeMint(msg.sender, tokenId);
        _setTokenURI(tokenId, metadataURI);
        audioHashes[tokenId] = audioHash;
        emit SongMinted(msg.sender, tokenId, metadataURI);
    }
}
