"""Check a demo's report.json against chain and content: `python scripts/verify_report.py report.json`.

It imports none of Steelyard's code. It rebuilds, from logs and public files alone, every model from the first
to the last, the wrong number of each conviction, and every token balance; it compares them with the
report. Exit code 0 if all agree, 1 with the first disagreement, 2 if something is unreadable.
"""

from __future__ import annotations

import argparse
import json
import sys
import urllib.error
from pathlib import Path
from typing import Any

import numpy as np

from report_check import model, money
from report_check.chain import Chain, Disagreement, Log, cid_of, fetch, require

CONVICTED = 1  # cause in ResultVoid


class Check:
    """One report, compared with chain and content."""

    def __init__(self, report: dict[str, Any], rpc: str, content: str) -> None:
        self.report, self.chain, self.content = report, Chain(rpc), content
        self.coordinator, self.job = report["coordinator"], report["job"]
        everything = self.chain.logs(self.coordinator, "Coordinator")
        self.logs = [log for log in everything if log.fields.get("job") == self.job]
        self.terms = self.one("JobCreated")["terms"]

    def all(self, name: str) -> list[dict[str, Any]]:
        """The fields of every event of this name in the job."""
        return [log.fields for log in self.logs if log.name == name]

    def one(self, name: str) -> dict[str, Any]:
        """The fields of the only one."""
        found = self.all(name)
        require(len(found) == 1, f"{len(found)} events {name}, not one")
        return found[0]

    # ------------------------------------------------------------------ transactions
    def transactions(self) -> str:
        """Every transaction of the chain up to the report's block is in the report, with its gas."""
        reported = {each["hash"]: each for each in self.report["transactions"]}
        mined: list[str] = []
        for number in range(self.report["head_block"] + 1):
            mined += self.chain.call("eth_getBlockByNumber", hex(number), False)["transactions"]
        require(
            set(mined) == set(reported), f"{len(reported)} transactions are reported, {len(mined)} were mined"
        )
        gas = 0
        for digest, each in reported.items():
            receipt = self.chain.call("eth_getTransactionReceipt", digest)
            same = (
                int(receipt["gasUsed"], 16) == each["gas_used"]
                and int(receipt["status"], 16) == each["succeeded"]
            )
            require(same, f"transaction {digest} had another outcome")
            gas += each["gas_used"]
        return f"{len(reported)} transactions, {gas:,} gas"

    # ------------------------------------------------------------------ models
    def models(self) -> str:
        """Rebuild each final model from the one before; every root on chain and in the report is right."""
        manifest = json.loads(
            fetch(self.content, cid_of(self.terms["manifestCodec"], self.terms["manifestDigest"]))
        )
        state = fetch(self.content, manifest["initial"]["cid"])
        require(model.state_root(state) == self.terms["stateRoot"], "the first model has another root")
        final = {f["id"]: f["number"] for f in self.all("Final")}
        posts = [f for f in self.all("Posted") if f["id"] in final]
        reported = {each["result"]: each for each in self.report["rounds"]}
        require(len(posts) == len(reported), f"{len(reported)} rounds are reported, {len(posts)} are final")
        self.faults: list[str] = []
        for post in posts:
            self._faults_of(post["serial"], state)
            state = self._rebuilt(post["result"], state)
            root = model.state_root(state)
            require(root == post["result"]["stateRoot"], f"serial {post['serial']}: the final model is wrong")
            row = reported["0x" + post["id"].hex()]
            right = row["state_root"] == "0x" + root.hex() and row["round"] == final[post["id"]]
            require(right, f"round {row['round']}: the report has another root")
            cid = cid_of(post["result"]["codec"], post["result"]["digest"])
            require(
                fetch(self.content, cid) == state and row["cid"] == cid, f"round {row['round']}: another file"
            )
        last = self.report["final"]
        require(last["state_root"] == "0x" + model.state_root(state).hex(), "the last model has another root")
        return f"{len(posts)} models rebuilt, the last with root {last['state_root']}"

    def _rebuilt(self, result: dict[str, Any], old: bytes) -> bytes:
        """The state that a result's included updates give, each opened and checked against its seal."""
        serial, step = result["serial"], self.terms["step"]
        updates, weights = [], []
        for f in sorted(self.all("Submitted"), key=lambda each: each["slot"]):
            if f["serial"] != serial or not result["included"] >> f["slot"] & 1:
                continue
            data = fetch(self.content, cid_of(f["codec"], f["digest"]))
            update = model.read_update(data, job=self.job, serial=serial, step=step)
            chain_id = self.report["chain"]["chain_id"]
            sealed = model.seal(chain_id, self.coordinator, self.job, serial, f["worker"], update.root)
            require(
                sealed == f["sealedRoot"], f"serial {serial}: the update of {f['worker']} opens another seal"
            )
            updates.append(update)
            weights.append(f["weight"])
        return model.state_of(model.aggregate(model.values_of(old), updates, weights, step))

    # ------------------------------------------------------------------ convictions
    def _faults_of(self, serial: int, old: bytes) -> None:
        """Find the wrong numbers of every result of this opening that was convicted."""
        convicted = {f["id"] for f in self.all("Convicted")}
        for post in self.all("Posted"):
            if post["serial"] != serial or post["id"] not in convicted:
                continue
            result = post["result"]
            posted = fetch(self.content, cid_of(result["codec"], result["digest"]))
            require(model.state_root(posted) == result["stateRoot"], "the convicted result has another root")
            right = self._rebuilt(result, old)
            wrong = np.flatnonzero(model.values_of(posted) != model.values_of(right))
            require(wrong.size > 0, f"serial {serial}: an honest result was convicted")
            self.faults.append(f"serial {serial}: {wrong.size} wrong number, at {', '.join(map(str, wrong))}")

    def convictions(self) -> str:
        """Each conviction is one transaction: it voids a wrong result and slashes its bond."""
        reported = {each["result"]: each for each in self.report["convictions"]}
        logs = [log for log in self.logs if log.name == "Convicted"]
        require(
            len(logs) == len(reported) == len(self.faults),
            f"{len(logs)} convictions, {len(reported)} are reported",
        )
        require(
            bool(logs) == self.report["cheat"],
            "a conviction without a cheat, or a cheat without a conviction",
        )
        void = {f["id"]: f for f in self.all("ResultVoid")}
        slashes = {log.transaction: log.fields for log in self.vault_logs if log.name == "Slashed"}
        for log in logs:
            f, slash = log.fields, slashes[log.transaction]
            row = reported["0x" + f["id"].hex()]
            require(void[f["id"]]["cause"] == CONVICTED, "the convicted result is not void")
            require(slash["account"] == f["poster"] == row["poster"], "another account was slashed")
            require(
                slash["burned"] + slash["rewarded"] == self.terms["bond"], "the bond was not slashed whole"
            )
            same = (row["transaction"], row["prover"]) == (log.transaction, f["prover"])
            require(same, "the report has another conviction")
        return "; ".join(self.faults) or "nobody was convicted"

    # ------------------------------------------------------------------ money
    @property
    def vault_logs(self) -> list[Log]:
        """Events of the Vault."""
        return self.chain.logs(self.report["vault"], "Vault")

    def balances(self) -> str:
        """Every token balance, by events, by the contracts' ledgers, and by the report."""
        ledger = money.Ledger()
        for log in [*self.vault_logs, *self.logs]:
            ledger.record(log)
        transfers = [
            log for log in self.chain.logs(self.report["token"], "TestToken") if log.name == "Transfer"
        ]
        balances = money.token_balances(transfers)
        money.check_shares(self.logs, self.terms)
        money.check_accounts(self.chain, self.report, ledger, self.one("JobCreated")["sponsor"], balances)
        money.check_vault(self.chain, self.report, ledger, balances)
        return f"{len(self.report['accounts'])} accounts, {ledger.burned} units burned"


def main() -> int:
    """Print what agrees, or the first disagreement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("report", type=Path)
    parser.add_argument("--rpc", default="", help="the chain, if not the one in the report")
    parser.add_argument("--content", default="", help="a gateway, if not the one in the report")
    given = parser.parse_args()
    try:
        report = json.loads(given.report.read_text())
        check = Check(report, given.rpc or report["rpc_url"], given.content or report["content_url"])
        for check_part in (check.transactions, check.models, check.convictions, check.balances):
            sys.stdout.write(f"{check_part.__name__}: {check_part()}\n")
    except Disagreement as error:
        sys.stdout.write(f"DISAGREES: {error}\n")
        return 1
    except (OSError, ValueError, KeyError, urllib.error.URLError) as error:
        sys.stdout.write(f"cannot be checked: {error!r}\n")
        return 2
    sys.stdout.write("report, chain and content agree\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
