// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// What the chain client's tests need of a contract: state, events, custom errors, a deadline.
contract Box {
    struct Pair {
        uint64 left;
        address right;
    }

    event Stored(uint64 indexed key, address indexed by, uint256 value, bytes32 tag);
    event Noted(string text);

    error NotYet(uint64 key, uint40 opensAt);
    error Taken(uint64 key, address by);

    mapping(uint64 => uint256) public values;
    mapping(uint64 => address) public owners;
    uint256 public total;
    uint40 public opensAt;

    constructor(uint256 first) {
        total = first;
    }

    function store(uint64 key, uint256 value) external {
        require(owners[key] == address(0), Taken(key, owners[key]));
        values[key] = value;
        owners[key] = msg.sender;
        total += 1;
        emit Stored(key, msg.sender, value, keccak256(abi.encode(key, value)));
    }

    function add() external returns (uint256) {
        total += 1;
        emit Stored(0, msg.sender, total, bytes32(total));
        return total;
    }

    function openIn(uint40 delay) external {
        opensAt = uint40(block.timestamp) + delay;
    }

    function enter(uint64 key) external {
        require(block.timestamp >= opensAt, NotYet(key, opensAt));
        total += 1;
        emit Noted("entered");
    }

    function many(uint256 count) external {
        for (uint256 i = 0; i < count; ++i) {
            emit Stored(uint64(i), msg.sender, i, bytes32(i));
        }
    }

    function pairs(Pair[] calldata list) external pure returns (uint256 sum, Pair memory last) {
        for (uint256 i = 0; i < list.length; ++i) {
            sum += list[i].left;
            last = list[i];
        }
    }

    function legacy() external pure {
        revert("an old reason");
    }

    function broken(uint256 zero) external pure returns (uint256) {
        return 1 / zero;
    }

    function sink() external payable {}
}
