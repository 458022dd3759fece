"""A small round on Brownie's build: paid when right, convicted by one wrong number, and money adds up."""

from __future__ import annotations

import brownie
from eth_abi import encode
from eth_hash.auto import keccak
from rounds import NO_ROOT, block

from conftest import BOND, POOL, STAKE, UPDATES

STAKES, BONDS = 0, 1


def free(market, account, kind):
    return market.vault.balanceOf(account, kind)[0]


def locked(market, account, kind):
    return market.vault.balanceOf(account, kind)[1]


def test_contracts_know_each_other(market):
    assert market.coordinator.VAULT() == market.vault
    assert market.coordinator.REGISTRY() == market.registry
    assert market.vault.COORDINATOR() == market.coordinator
    assert market.registry.VAULT() == market.vault
    assert market.vault.token() == market.token


def test_a_right_result_becomes_final_and_pays(market, right):
    poster = market.elected()
    result = market.result(right, poster)
    posted = market.coordinator.post(result, {"from": poster}).events["Posted"]
    market.wait_until(market.hold_by_all(posted["id"]))
    settled = market.coordinator.settle(market.job)
    market.coordinator.claim([result] * 2, market.submissions, {"from": market.challenger})
    market.coordinator.claimPosts([result], {"from": market.challenger})

    assert settled.events["Final"]["id"] == posted["id"]
    for worker in market.workers:
        owed = POOL * 7000 // 10_000 // 2 + POOL * 1000 // 10_000 // 2
        assert market.vault.creditOf(market.token, worker) == owed
        market.vault.withdraw(worker, [market.token])
        assert market.token.balanceOf(worker) == owed
    assert market.vault.creditOf(market.token, poster) == POOL * 2000 // 10_000
    assert locked(market, poster, BONDS) == 0


def test_one_wrong_number_convicts_and_the_other_aggregator_goes_on(market, right):
    cheat = market.elected()
    wrong = right.wrong_by(1)
    result = market.result(wrong, cheat)
    posted = market.coordinator.post(result, {"from": cheat}).events["Posted"]
    proof = wrong.proof(0)
    announced = keccak(encode(["bytes32", "bytes32", "bytes"], [bytes(posted["id"]), NO_ROOT, proof]))
    types = ["uint256", "address", "address", "bytes32"]
    named = [market.chain.id, str(market.coordinator), str(market.challenger), announced]
    market.coordinator.commit(keccak(encode(types, named)), {"from": market.challenger})
    convicted = market.coordinator.convict(result, proof, {"from": market.challenger})

    assert convicted.events["Convicted"]["poster"] == cheat
    assert convicted.events["Convicted"]["rewarded"]
    assert convicted.events["ResultVoid"]["cause"] == 1
    assert market.vault.creditOf(market.token, market.challenger) == BOND // 2
    assert market.vault.burnedOf(market.token) == BOND // 2
    assert locked(market, cheat, BONDS) == 0
    assert free(market, cheat, BONDS) == 3 * BOND

    honest = market.elected()
    assert honest != cheat
    again = market.coordinator.post(market.result(right, honest, attempt=1), {"from": honest})
    assert again.events["Posted"]["serial"] == market.serial


def test_without_an_announcement_all_that_is_slashed_is_burned(market, right):
    cheat = market.elected()
    wrong = right.wrong_by(-3)
    result = market.result(wrong, cheat)
    market.coordinator.post(result, {"from": cheat})
    convicted = market.coordinator.convict(result, wrong.proof(0), {"from": market.challenger})

    assert not convicted.events["Convicted"]["rewarded"]
    assert market.vault.burnedOf(market.token) == BOND
    assert market.vault.creditOf(market.token, market.challenger) == 0


def test_a_right_result_cannot_be_convicted(market, right):
    poster = market.elected()
    result = market.result(right, poster)
    market.coordinator.post(result, {"from": poster})
    for coordinate in (0, 1, 2, 31):
        with brownie.reverts():
            market.coordinator.convict(result, right.proof(coordinate), {"from": market.challenger})
    assert locked(market, poster, BONDS) == BOND


def test_a_proof_of_other_updates_than_the_posted_ones_fails(market, right):
    poster = market.elected()
    result = market.result(right, poster)
    market.coordinator.post(result, {"from": poster})
    forged = type(right)(right.old, right.new, (block(9, 9), UPDATES[1]))
    with brownie.reverts():
        market.coordinator.convict(result, forged.proof(0), {"from": market.challenger})


def test_only_the_elected_aggregator_posts_at_first(market, right):
    other = next(each for each in market.aggregators if each != market.elected())
    with brownie.reverts():
        market.coordinator.post(market.result(right, other), {"from": other})


def test_tokens_in_the_vault_are_those_of_its_ledgers(market, right):
    poster = market.elected()
    wrong = right.wrong_by(1)
    result = market.result(wrong, poster)
    market.coordinator.post(result, {"from": poster})
    market.coordinator.convict(result, wrong.proof(0), {"from": market.challenger})

    stakes, bonds, escrow = 2 * STAKE, 8 * BOND, 10 * POOL
    assert market.vault.heldOf(market.token) == stakes + bonds + escrow
    assert market.token.balanceOf(market.vault) == stakes + bonds + escrow
    assert market.vault.burnedOf(market.token) == BOND
    assert market.vault.escrowOf(market.job)[1] == escrow
