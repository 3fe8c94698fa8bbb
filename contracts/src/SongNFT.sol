// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {ERC2981} from "@openzeppelin/contracts/token/common/ERC2981.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {RawCid} from "./RawCid.sol";

/**
 * @title AI-made songs, one token per recording
 * @notice The token id of a song is the sha2-256 of its audio file. So every recording can be minted once, and from
 * a file anybody finds its token. Tokens are never burned and their metadata never changes.
 *
 * A mint needs a permit: the signature of an account that holds the role of the permit's format. Two formats exist:
 *
 * - EIP-712 `MintPermit(address to,bytes32 audioHash,bytes32 metadataDigest,uint256 deadline)`, which anybody may bring
 *   on chain for `to`.
 * - Packed: EIP-191 over keccak256(abi.encodePacked(address to, string metadataURI, bytes32 audioHash)), which only `to`
 *   may bring. Nobody holds its role after deployment.
 *
 * Several accounts may hold a role at once, so that signing keys can be rotated without a gap.
 *
 * What is not protected here:
 *
 * - Whatever a signer signs is minted. That a song is AI-made, and its creator's, is the signing service's word.
 * - A packed permit names no chain, no contract and no deadline. It is good forever, on every contract that trusts its
 *   signer: use one signing key per chain and contract, and revoke its role to void what it signed. The URI is stored as
 *   it was signed; that anything is found there is not looked at.
 * - A permit cannot be withdrawn one by one: wait for its deadline, pause, or revoke the role of its signer, which voids
 *   all others of that signer, too. What is minted stays minted.
 * - An EIP-712 permit in flight can be brought by anybody, at a time of their choice until the deadline. The token goes
 *   to `to` all the same.
 * - Tokens are not offered to contracts (`onERC721Received` is not called): a permit names its receiver, and a call to
 *   it would let it act in the middle of a mint. A contract that cannot move tokens keeps them for good.
 * - Royalties are information; markets may ignore them.
 * - Block time is the validator's word: a deadline is kept to within seconds, or to what a sequencer makes of it.
 * - The admin can grant any role to anybody, in one step and without delay, and can renounce: make it a multisig.
 *   Pausing stops mints, not transfers.
 */
contract SongNFT is ERC721, ERC2981, AccessControl, EIP712, Pausable {
    /// @notice Signs EIP-712 permits.
    bytes32 public constant EIP712_SIGNER_ROLE = keccak256("EIP712_SIGNER_ROLE");
    /// @notice Signs packed permits.
    bytes32 public constant PACKED_SIGNER_ROLE = keccak256("PACKED_SIGNER_ROLE");
    /// @notice Stops and resumes mints.
    bytes32 public constant PAUSER_ROLE = keccak256("PAUSER_ROLE");

    bytes32 private constant PERMIT_TYPEHASH =
        keccak256("MintPermit(address to,bytes32 audioHash,bytes32 metadataDigest,uint256 deadline)");

    // A token has one of the two, by the format of its permit.
    mapping(uint256 tokenId => bytes32) private _metadataDigests;
    mapping(uint256 tokenId => string) private _metadataURIs;

    string private _contractURI;

    /// @notice A permit of `signer` became the token `tokenId`. After a theft of a key this tells what it minted.
    event SongMinted(uint256 indexed tokenId, address indexed signer);

    /// @notice The collection's own metadata was moved (ERC-7572).
    event ContractURIUpdated();

    /// @notice The royalty of all songs was set.
    event RoyaltyUpdated(address indexed receiver, uint96 basisPoints);

    /// @dev The recording has a token already.
    error SongAlreadyMinted(bytes32 audioHash, address owner);

    /// @dev The signature is one, but not of an account that holds `role`.
    error SignerNotTrusted(address signer, bytes32 role);

    /// @dev The permit was good until `deadline`, a unix time.
    error PermitExpired(uint256 deadline);

    /// @dev A token would be without metadata.
    error MetadataMissing(bytes32 audioHash);

    /// @dev Nobody could ever grant a role.
    error AdminMissing();

    /**
     * @param admin Grants and revokes roles, sets royalty and contract URI.
     * @param royaltyReceiver Whom the royalty of every song is due to.
     * @param royaltyBasisPoints Hundredths of a percent of the sale price, at most 10,000.
     * @param contractURI_ URI of the collection's metadata.
     */
    constructor(address admin, address royaltyReceiver, uint96 royaltyBasisPoints, string memory contractURI_)
        ERC721("AceSteps Songs", "SONG")
        EIP712("AceSteps SongNFT", "1")
    {
        if (admin == address(0)) revert AdminMissing();
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        _updateRoyalty(royaltyReceiver, royaltyBasisPoints);
        _updateContractURI(contractURI_);
    }

    /**
     * @notice Mints a song to the caller with a packed permit.
     * @param metadataURI Stored as it is.
     * @param audioHash sha2-256 of the audio file.
     * @param signature r ‖ s ‖ v, 65 bytes, low s.
     */
    function mint(string calldata metadataURI, bytes32 audioHash, bytes calldata signature) external {
        if (bytes(metadataURI).length == 0) revert MetadataMissing(audioHash);
        // Packing is unambiguous: only the middle part has no fixed length.
        bytes32 digest = keccak256(abi.encodePacked(msg.sender, metadataURI, audioHash));
        bytes32 signed = MessageHashUtils.toEthSignedMessageHash(digest);
        _mintTrusted(PACKED_SIGNER_ROLE, signed, signature, msg.sender, audioHash);
        _metadataURIs[uint256(audioHash)] = metadataURI;
    }

    /**
     * @notice Mints a song to `to` with an EIP-712 permit. Anybody may call, and pay.
     * @param to The creator's wallet.
     * @param audioHash sha2-256 of the audio file.
     * @param metadataDigest sha2-256 of the metadata document.
     * @param deadline Unix time until which the permit is good, inclusive.
     * @param signature r ‖ s ‖ v, 65 bytes, low s.
     */
    function mint(address to, bytes32 audioHash, bytes32 metadataDigest, uint256 deadline, bytes calldata signature)
        external
    {
        if (metadataDigest == 0) revert MetadataMissing(audioHash);
        if (block.timestamp > deadline) revert PermitExpired(deadline);
        bytes32 structHash = keccak256(abi.encode(PERMIT_TYPEHASH, to, audioHash, metadataDigest, deadline));
        _mintTrusted(EIP712_SIGNER_ROLE, _hashTypedDataV4(structHash), signature, to, audioHash);
        _metadataDigests[uint256(audioHash)] = metadataDigest;
    }

    /// @notice Stops all mints.
    function pause() external onlyRole(PAUSER_ROLE) {
        _pause();
    }

    /// @notice Lets mints go on.
    function unpause() external onlyRole(PAUSER_ROLE) {
        _unpause();
    }

    /// @notice Sets the royalty of all songs, those already minted included.
    function setRoyalty(address receiver, uint96 basisPoints) external onlyRole(DEFAULT_ADMIN_ROLE) {
        _updateRoyalty(receiver, basisPoints);
    }

    /// @notice Moves the collection's metadata.
    function setContractURI(string calldata uri) external onlyRole(DEFAULT_ADMIN_ROLE) {
        _updateContractURI(uri);
    }

    /// @notice URI of the collection's metadata (ERC-7572).
    function contractURI() external view returns (string memory) {
        return _contractURI;
    }

    /// @inheritdoc ERC721
    function tokenURI(uint256 tokenId) public view override returns (string memory) {
        _requireOwned(tokenId);
        bytes32 digest = _metadataDigests[tokenId];
        return digest == 0 ? _metadataURIs[tokenId] : RawCid.uri(digest);
    }

    /// @inheritdoc ERC721
    function supportsInterface(bytes4 interfaceId) public view override(ERC721, ERC2981, AccessControl) returns (bool) {
        return super.supportsInterface(interfaceId);
    }

    /// @dev The only way to a token: what both formats have to prove, and that the recording is new.
    function _mintTrusted(bytes32 role, bytes32 digest, bytes calldata signature, address to, bytes32 audioHash)
        private
        whenNotPaused
    {
        address owner = _ownerOf(uint256(audioHash));
        if (owner != address(0)) revert SongAlreadyMinted(audioHash, owner);
        address signer = ECDSA.recoverCalldata(digest, signature);
        if (!hasRole(role, signer)) revert SignerNotTrusted(signer, role);
        _mint(to, uint256(audioHash));
        emit SongMinted(uint256(audioHash), signer);
    }

    function _updateRoyalty(address receiver, uint96 basisPoints) private {
        _setDefaultRoyalty(receiver, basisPoints);
        emit RoyaltyUpdated(receiver, basisPoints);
    }

    function _updateContractURI(string memory uri) private {
        _contractURI = uri;
        emit ContractURIUpdated();
    }
}
