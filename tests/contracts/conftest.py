"""A deployment by Brownie's own build of the contracts, two workers, two aggregators and a job."""

from __future__ import annotations

import pytest
from rounds import Posting, averaged, block, leaf, sealed

from steelyard.chain.deploy import created_address
from steelyard.chain.deployment_plan import PLAN, ContractAddress, DeploymentSettings

ETHER = 10**18
STAKE, BOND, POOL = 100 * ETHER, 500 * ETHER, 1000 * ETHER
RAW, CODEC, NO_DIGEST = 0, 0x55, "0x" + "00" * 32
OLD = block(1000, -1000, 7)
UPDATES = (block(5, -4, 1), block(2, -1, 2))


class Market:
    """The contracts and those who act in them."""

    def __init__(self, contracts, accounts, chain):
        self.__dict__.update({name.lower(): contract for name, contract in contracts.items()})
        self.chain = chain
        self.token, self.coordinator = contracts["TestToken"], contracts["Coordinator"]
        self.registry = contracts["WorkerRegistry"]
        self.sponsor, *self.workers = accounts[1:4]
        self.aggregators, self.challenger = accounts[4:6], accounts[6]

    def enrol(self):
        for worker in self.workers:
            self.fund(worker, STAKE)
            self.registry.register(worker, worker, NO_DIGEST, STAKE, {"from": worker})
        for account in self.aggregators:
            self.fund(account, 4 * BOND)
            self.registry.register(account, account, NO_DIGEST, 0, {"from": account})
            self.vault.deposit(account, 1, 4 * BOND, {"from": account})

    def fund(self, account, amount):
        self.token.mint(account, amount)
        self.token.approve(self.vault, amount, {"from": account})

    def open_job(self):
        self.fund(self.sponsor, 10 * POOL)
        created = self.coordinator.createJob(self.terms(), {"from": self.sponsor})
        self.job = created.events["JobCreated"]["job"]
        for worker in self.workers:
            self.coordinator.join(self.job, 0, 1, CODEC, NO_DIGEST, [], {"from": worker})
        for account in self.aggregators:
            self.coordinator.enlist(self.job, {"from": account})
        opened = self.coordinator.openRound(self.job, {"from": self.sponsor}).events["RoundOpened"]
        self.serial, self.parent = opened["serial"], opened["parent"]

    def terms(self):
        step = (1, RAW, 0, 0, 0, 65_536, 0)
        windows = (600, 300, 120, 600, self.chain.time() + 1_000_000)
        limits = (10, 2, 3, 2, True)
        money = (STAKE, BOND, POOL, 7000, 2000, 1000)
        admission = (16, 0, 900, 0, CODEC, str(self.token), 0)
        return (step, *windows, *limits, *money, *admission, NO_DIGEST, leaf(b"manifest"), leaf(OLD))

    def submit_and_attest(self):
        self.submissions = []
        for slot, (worker, raw) in enumerate(zip(self.workers, UPDATES, strict=True)):
            root = sealed(self.chain.id, str(self.coordinator), self.job, self.serial, str(worker), raw)
            digest = leaf(raw)
            call = (self.job, self.serial, self.parent, root, CODEC, digest)
            self.coordinator.submit(*call, {"from": worker})
            self.submissions.append((self.job, self.serial, slot, worker, 1, root, CODEC, digest))
        for worker in self.workers:
            self.coordinator.attest(self.job, self.serial, self.parent, 0, 0b11, {"from": worker})

    def result(self, posting, poster, attempt=0):
        roots = posting.roots
        return (self.job, self.serial, attempt, self.parent, 0b11, *roots, CODEC, leaf(posting.new), poster)

    def elected(self):
        return self.coordinator.electedOf(self.job)[0]

    def hold_by_all(self, result_id):
        for worker in self.workers:
            held = self.coordinator.hold(self.job, self.serial, result_id, {"from": worker})
            if "ThresholdHeld" in held.events:
                return held.events["ThresholdHeld"]["finalAt"]
        return pytest.fail("both workers hold the result and it is not held")

    def wait_until(self, time):
        self.chain.sleep(max(0, time - self.chain.time()) + 1)
        self.chain.mine()


@pytest.fixture(scope="module")
def market(accounts, chain, request):
    """Contracts of a fresh deployment, linked and placed as the plan says."""
    deployer = accounts[0]
    nonce = deployer.nonce
    where = {each.contract: created_address(str(deployer), nonce + i) for i, each in enumerate(PLAN)}
    contracts = {}
    for creation in PLAN:
        given = [
            where[each.contract]
            if isinstance(each, ContractAddress)
            else getattr(DeploymentSettings(), each.name)
            for each in creation.arguments
        ]
        contracts[creation.contract] = deployer.deploy(request.getfixturevalue(creation.contract), *given)
        assert str(contracts[creation.contract]) == where[creation.contract]
    made = Market(contracts, accounts, chain)
    made.enrol()
    made.open_job()
    made.submit_and_attest()
    return made


@pytest.fixture(autouse=True)
def isolation(fn_isolation):
    """Each test starts from the same chain."""


@pytest.fixture
def right():
    """The result that an honest aggregator posts."""
    return Posting(OLD, averaged(OLD, list(UPDATES)), UPDATES)
