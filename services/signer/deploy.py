"""`python -m services.signer.deploy`: `SongNFT` and its roles on a real chain; a dry run unless told to send.

Knows the order of a deployment, and what to check before and after. How things are sent is `onchain`'s.
"""

import argparse
import asyncio
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from services.common.errors import ServiceError
from services.signer.keys import KeyOpenError, SignatureDefect, forbid_core_dumps
from services.signer.keystore import KeystoreError
from services.signer.onchain.development import refuse_development_accounts
from services.signer.onchain.node import ChainError
from services.signer.onchain.operator import (
    Account,
    Chain,
    Journal,
    add_chain_options,
    add_key_options,
    address,
    open_account,
    open_chain,
    show,
    write_unsigned,
)
from services.signer.onchain.song_nft import (
    ADMIN_ROLE,
    EIP712_ROLE,
    GRANT_GAS,
    MAX_ROYALTY_BASIS_POINTS,
    PACKED_ROLE,
    PAUSER_ROLE,
    Artifact,
    Constructor,
    check_contract,
    created_address,
    grant_data,
    has_role,
    read_artifact,
)
from services.signer.onchain.transactions import Call

EXIT_DONE, EXIT_FAILED, EXIT_UNFINISHED = 0, 1, 3

_EPILOG = """\
First without --send and --unsigned: nothing is written or sent, everything is checked and shown.
Then one of
  --send            signs with the deployer's key and sends; waits for confirmations
  --unsigned FILE   writes the transactions for a hardware wallet or multisig
Both remember in --record what they began. When something went wrong, or a wallet has signed:
  --resume          goes on from the record: reads receipts, never creates a second contract
Exit status: 0 done, or shown; 1 refused or failed; 3 something is left to do.
"""


@dataclass(frozen=True)
class Plan:
    """One deployment, decided once. Addresses are EIP-55; `roles` are pairs of role and account."""

    chain_id: int
    deployer: str
    nonce: int
    contract: str
    constructor: Constructor
    roles: tuple[tuple[str, str], ...]
    bytecode_sha256: str

    @classmethod
    def from_json(cls, content: dict[str, Any], path: Path) -> Self:
        try:
            fields = dict(content["plan"])
            fields["constructor"] = Constructor(**fields["constructor"])
            fields["roles"] = tuple((role, account) for role, account in fields["roles"])
            return cls(**fields)
        except (KeyError, TypeError, ValueError):
            raise ChainError(f"{path} is not a record of a deployment") from None

    def calls(self, chain: Chain, artifact: Artifact) -> list[Call]:
        """What is not done yet. Raises ChainError when something else is where the contract belongs."""
        deployed = bool(chain.node.code(self.contract))
        calls = []
        if deployed:
            check_contract(chain.node, self.contract, self.chain_id, artifact)
        else:
            if chain.node.mined_nonce(self.deployer) > self.nonce:
                raise ChainError(
                    f"nonce {self.nonce} of {self.deployer} went to something else, so nothing will ever be "
                    f"at {self.contract}; name the creation with --transaction, or start anew with another "
                    "--record"
                )
            init_code = artifact.bytecode + self.constructor.encoded()
            calls.append(Call("create SongNFT", self.deployer, None, init_code))
        for role, account in self.roles:
            if deployed and has_role(chain.node, self.contract, role, account):
                continue
            gas = None if deployed else GRANT_GAS
            what = f"grant {role} to {account}"
            calls.append(Call(what, self.constructor.admin, self.contract, grant_data(role, account), gas))
        return calls


async def run(arguments: argparse.Namespace) -> int:
    """Raises ChainError, KeystoreError, KeyOpenError, ServiceError, SignatureDefect."""
    chain, artifact = open_chain(arguments), read_artifact()
    account = open_account(arguments, "deployer")
    if arguments.send and account.key is None:
        raise ChainError("--send needs the deployer's key; for a wallet's transactions use --unsigned")
    record = arguments.record or Path(f"deployment.{chain.chain_id}.json")
    if arguments.resume:
        journal = Journal.read(record)
        plan = _resumed(arguments, chain, journal, artifact)
    elif record.exists():
        raise ChainError(
            f"{record} is the record of a deployment; go on with --resume, or name another --record"
        )
    else:
        plan = _new_plan(arguments, chain, account, artifact)
        journal = Journal(record, {"plan": asdict(plan)})
    if account.address not in (plan.deployer, plan.constructor.admin):
        raise ChainError(f"{account.address} is neither the deployer nor the admin of {record}")
    everybody = (plan.deployer, plan.constructor.admin, *(holder for _, holder in plan.roles))
    refuse_development_accounts(chain.chain_id, everybody)
    _describe(chain, plan)

    if arguments.send:
        journal.settle(chain)
        await _send(chain, plan, artifact, account, journal)
    left = plan.calls(chain, artifact)
    if not left:
        _verify(chain, plan, artifact)
        return EXIT_DONE
    # Grants that follow the creation from the same account have the nonces after its.
    created = any(call.to is None for call in left)
    transactions = chain.prepare(left, {plan.deployer: plan.nonce} if created else {})
    show(chain, transactions)
    if arguments.unsigned:
        journal.save()
        write_unsigned(arguments.unsigned, transactions)
        print(f"then: --resume --record {record}")
    elif arguments.send or arguments.resume:
        print("left to do: the above")
    else:
        print("dry run: nothing was sent")
        return EXIT_DONE
    return EXIT_UNFINISHED


async def _send(chain: Chain, plan: Plan, artifact: Artifact, account: Account, journal: Journal) -> None:
    """Send what is this account's to send, one after the other."""
    assert account.key is not None
    left = [call for call in plan.calls(chain, artifact) if call.sender == account.address]
    if not left:
        return
    first_nonces = {plan.deployer: plan.nonce} if left[0].to is None else {}
    chain.check_funds(chain.prepare(left, first_nonces))
    for call in left:
        nonces = {plan.deployer: plan.nonce} if call.to is None else {}
        # Anew, now that the contract is there: the node knows its gas.
        fresh = call if call.to is None else replace(call, gas=None)
        (transaction,) = chain.prepare([fresh], nonces)
        await journal.send(chain, transaction, account.key)


def _new_plan(arguments: argparse.Namespace, chain: Chain, account: Account, artifact: Artifact) -> Plan:
    if not arguments.admin or not arguments.eip712_signer:
        raise ChainError("a deployment needs --admin and --eip712-signer")
    if set(arguments.eip712_signer) & set(arguments.packed_signer):
        raise ChainError("a packed permit names no contract: its key must not be that of EIP-712 permits")
    nonce = chain.node.nonce(account.address)
    contract = created_address(account.address, nonce)
    if chain.node.code(contract):
        raise ChainError(f"there is a contract at {contract} already")
    accounts = {
        EIP712_ROLE: arguments.eip712_signer,
        PACKED_ROLE: arguments.packed_signer,
        PAUSER_ROLE: arguments.pauser or [arguments.admin],
    }
    return Plan(
        chain_id=chain.chain_id,
        deployer=account.address,
        nonce=nonce,
        contract=contract,
        constructor=Constructor(
            arguments.admin,
            arguments.royalty_receiver or arguments.admin,
            arguments.royalty_basis_points,
            arguments.contract_uri,
        ),
        roles=tuple((role, holder) for role, holders in accounts.items() for holder in holders),
        bytecode_sha256=artifact.digest,
    )


def _resumed(arguments: argparse.Namespace, chain: Chain, journal: Journal, artifact: Artifact) -> Plan:
    plan = Plan.from_json(journal.content, journal.path)
    if plan.chain_id != chain.chain_id:
        raise ChainError(f"{journal.path} is of chain {plan.chain_id}, not {chain.chain_id}")
    if plan.bytecode_sha256 != artifact.digest:
        raise ChainError(f"{journal.path} is of another build of SongNFT; check out that one")
    if arguments.transaction:
        receipt = chain.node.receipt(arguments.transaction)
        if receipt is None or not receipt.succeeded or receipt.contract is None:
            raise ChainError(f"{arguments.transaction} has not created a contract")
        check_contract(chain.node, receipt.contract, chain.chain_id, artifact)
        plan = replace(plan, contract=receipt.contract)
        journal.content["plan"] = asdict(plan)
        journal.save()
    return plan


def _describe(chain: Chain, plan: Plan) -> None:
    arguments = plan.constructor
    print(f"chain {chain.chain_id} at {chain.node.host}, {chain.confirmations} confirmations")
    print(f"contract {plan.contract}, created by {plan.deployer} with nonce {plan.nonce}")
    print(f"bytecode sha256 {plan.bytecode_sha256}")
    print("constructor")
    print(f"  admin {arguments.admin}")
    print(f"  royalty {arguments.royalty_basis_points} basis points to {arguments.royalty_receiver}")
    print(f"  contract URI {arguments.contract_uri!r}")
    print(f"  encoded 0x{arguments.encoded().hex()}")
    if arguments.admin == plan.deployer:
        print(
            "note: the deployer stays admin; on a public chain let --admin be a multisig or hardware wallet"
        )


def _verify(chain: Chain, plan: Plan, artifact: Artifact) -> None:
    """Raises ChainError unless the chain holds what was planned, and the deployer nothing more."""
    node, admin = chain.node, plan.constructor.admin
    check_contract(node, plan.contract, plan.chain_id, artifact)
    expected = [*plan.roles, (ADMIN_ROLE, admin)]
    for role, account in expected:
        if not has_role(node, plan.contract, role, account):
            raise ChainError(f"{account} does not have {role}")
    for role in (ADMIN_ROLE, EIP712_ROLE, PACKED_ROLE, PAUSER_ROLE):
        if (role, plan.deployer) not in expected and has_role(node, plan.contract, role, plan.deployer):
            raise ChainError(f"the deployer {plan.deployer} has {role}")
    print("verified: code, domain and roles are as planned")
    print(f"SIGNER_CHAIN_ID={plan.chain_id}\nSIGNER_CONTRACT={plan.contract}")


def main(argv: list[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        return asyncio.run(run(arguments))
    except (ChainError, KeystoreError, KeyOpenError, ServiceError, SignatureDefect) as error:
        print(f"deploy: {error}", file=sys.stderr)
        return EXIT_FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.signer.deploy",
        description="Deploys SongNFT and grants its roles. Repeatable; a dry run unless told otherwise.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_chain_options(parser)
    add_key_options(parser.add_argument_group("the deployer, who pays"), "deployer")
    contract = parser.add_argument_group("the contract (with --resume: as recorded)")
    contract.add_argument("--admin", type=address, help="grants and revokes roles; best a multisig")
    contract.add_argument(
        "--eip712-signer",
        type=address,
        action="append",
        default=[],
        help="address of a permit key; repeatable",
    )
    contract.add_argument(
        "--packed-signer",
        type=address,
        action="append",
        default=[],
        help="address of a key for packed permits, good for this contract only; none: the format is off",
    )
    contract.add_argument(
        "--pauser",
        type=address,
        action="append",
        default=[],
        help="stops and resumes mints (default: the admin)",
    )
    contract.add_argument("--royalty-receiver", type=address, help="(default: the admin)")
    contract.add_argument(
        "--royalty-basis-points",
        type=int,
        choices=range(MAX_ROYALTY_BASIS_POINTS + 1),
        metavar="N",
        default=500,
        help="hundredths of a percent, at most 10,000 (default: %(default)s)",
    )
    contract.add_argument("--contract-uri", default="", help="metadata of the collection, ipfs://…")
    doing = parser.add_argument_group("what to do")
    doing.add_argument("--send", action="store_true", help="sign with the deployer's key and send")
    doing.add_argument("--unsigned", type=Path, metavar="FILE", help="write what is left for a wallet (JSON)")
    doing.add_argument("--record", type=Path, help="what was begun (default: deployment.<chain id>.json)")
    doing.add_argument("--resume", action="store_true", help="go on from the record")
    doing.add_argument(
        "--transaction", metavar="HASH", help="with --resume: the creation, where a wallet took another nonce"
    )
    return parser


if __name__ == "__main__":
    forbid_core_dumps()
    sys.exit(main())
