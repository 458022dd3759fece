"""Token accounting from events alone: what each account deposited, earned, lost and withdrew."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from report_check.chain import Chain, Log, require

STAKE, BOND = 0, 1
BPS = 10_000
BALANCE = ["(uint128,uint128,uint128,uint40)"]


@dataclass
class Ledger:
    """Sums by account, in the token's smallest unit."""

    deposited: defaultdict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    slashed: defaultdict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    earned: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    returned: int = 0  # to the sponsor
    funded: int = 0
    burned: int = 0
    withdrawn: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))

    def record(self, log: Log) -> None:
        """Account for one event."""
        f = log.fields
        if log.name == "Deposited":
            self.deposited[f["account"], f["kind"]] += f["amount"]
        elif log.name == "Slashed":
            self.slashed[f["account"], f["kind"]] += f["burned"] + f["rewarded"]
            self.burned += f["burned"]
            self.earned[f["prover"]] += f["rewarded"]
        elif log.name == "Funded":
            self.funded += f["amount"]
        elif log.name == "Claimed":
            self.earned[f["worker"]] += f["work"] + f["attesting"]
        elif log.name == "AggregatorPaid":
            self.earned[f["account"]] += f["amount"]
        elif log.name in ("Returned", "JobEnded"):
            self.returned += f["amount"] if log.name == "Returned" else f["returned"]
        elif log.name == "Withdrawn":
            self.withdrawn[f["account"]] += f["amount"]


def token_balances(transfers: list[Log]) -> dict[str, int]:
    """Balances of an ERC-20 from its transfers."""
    held: defaultdict[str, int] = defaultdict(int)
    for log in transfers:
        held[log.fields["from"]] -= log.fields["value"]
        held[log.fields["to"]] += log.fields["value"]
    return dict(held)


def check_accounts(
    chain: Chain, report: dict[str, Any], ledger: Ledger, sponsor: str, balances: dict[str, int]
) -> None:
    """Raise Disagreement if report, events and the contracts' own ledgers differ for any account."""
    token, vault = report["token"], report["vault"]
    for account in report["accounts"]:
        name, address = account["name"], account["address"]
        earned = ledger.earned[address]
        require(
            account["reward_units"] == earned,
            f"{name}: reward {account['reward_units']}, events say {earned}",
        )
        penalty = ledger.slashed[address, STAKE] + ledger.slashed[address, BOND]
        require(
            account["penalty_units"] == penalty, f"{name}: penalty {account['penalty_units']}, not {penalty}"
        )
        collateral = 0
        for kind, key in ((STAKE, "stake_units"), (BOND, "bond_units")):
            signature = "balanceOf(address,uint8)"
            free, locked, unbonding, _ = chain.read(vault, signature, BALANCE, address, kind)[0]
            expected = ledger.deposited[address, kind] - ledger.slashed[address, kind]
            require(
                free + locked + unbonding == account[key] == expected,
                f"{name}: {key} differs from the events",
            )
            collateral += expected
        (credit,) = chain.read(vault, "creditOf(address,address)", ["uint256"], token, address)
        owed = earned + (ledger.returned if address == sponsor else 0) - ledger.withdrawn[address]
        require(credit == account["credit_units"] == owed, f"{name}: credit {credit}, events say {owed}")
        (held,) = chain.read(token, "balanceOf(address)", ["uint256"], address)
        require(held == account["tokens_units"] == balances.get(address, 0), f"{name}: token balance differs")


def check_vault(chain: Chain, report: dict[str, Any], ledger: Ledger, balances: dict[str, int]) -> None:
    """In = stakes + bonds + escrow + owed + burned + paid out."""
    escrow = chain.read(report["vault"], "escrowOf(uint64)", ["address", "uint256"], report["job"])[1]
    collateral = sum(ledger.deposited.values()) - sum(ledger.slashed.values())
    withdrawn = sum(ledger.withdrawn.values())
    owed = sum(ledger.earned.values()) + ledger.returned - withdrawn
    total = collateral + escrow + owed + ledger.burned
    held = balances.get(report["vault"], 0)
    require(total == held, f"the ledgers add up to {total}, the Vault holds {held}")
    paid_in = sum(ledger.deposited.values()) + ledger.funded
    require(paid_in == held + withdrawn, f"{paid_in} came in, {held} is there and {withdrawn} went out")


def check_shares(logs: list[Log], terms: dict[str, Any]) -> None:
    """Every claim and payment is what the job's split gives, and no share was paid twice."""
    submitted = [log.fields for log in logs if log.name == "Submitted"]
    posts = {log.fields["serial"]: log.fields for log in logs if log.name == "Posted"}  # the last one stands
    pool, seen = terms["pool"], set()
    for log in logs:
        f = log.fields
        if log.name == "Claimed":
            of_round = {each["slot"]: each["weight"] for each in submitted if each["serial"] == f["serial"]}
            work = pool * terms["workerBps"] // BPS * of_round[f["slot"]] // sum(of_round.values())
            attesting = pool * terms["attestorBps"] // BPS // posts[f["serial"]]["committeeSize"]
            require(f["work"] in (0, work), f"serial {f['serial']}: {f['work']} paid for work, not {work}")
            require(
                f["attesting"] in (0, attesting), f"serial {f['serial']}: {f['attesting']} paid for attesting"
            )
            require(
                (f["serial"], f["slot"]) not in seen, f"serial {f['serial']}: slot {f['slot']} was paid twice"
            )
            seen.add((f["serial"], f["slot"]))
        elif log.name == "AggregatorPaid":
            due = pool * terms["aggregatorBps"] // BPS
            right = f["amount"] == due and f["account"] == posts[f["serial"]]["result"]["poster"]
            require(right, f"serial {f['serial']}: the aggregator was paid {f['amount']}, not {due}")
