"""CIDs: one spelling each, and the form that contracts store."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.content import Cid
from steelyard.errors import CidError

EMPTY = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"

cids = st.builds(Cid, st.sampled_from([0x55, 0x70]), st.binary(min_size=32, max_size=32))


@given(cids)
def test_every_form_of_a_cid_leads_back_to_it(cid: Cid) -> None:
    assert Cid.parse(str(cid)) == cid
    assert Cid.from_bytes(cid.to_bytes()) == cid
    assert Cid.from_chain(*cid.to_chain()) == cid
    assert len(str(cid)) == 59
    assert str(cid).startswith("bafk" if cid.codec == 0x55 else "bafy")


def test_the_empty_file_has_the_cid_that_all_of_ipfs_knows() -> None:
    assert str(Cid.of_block(0x55, b"")) == EMPTY
    assert Cid.parse(EMPTY).matches(b"")
    assert not Cid.parse(EMPTY).matches(b"x")


def test_only_the_canonical_spelling_is_read() -> None:
    # The last character carries two spare bits: these spell the same bytes and are refused all the same.
    alphabet = "abcdefghijklmnopqrstuvwxyz234567"
    last = alphabet.index(EMPTY[-1])
    same_bytes = [EMPTY[:-1] + alphabet[last ^ flip] for flip in (1, 2, 3)]
    for text in same_bytes:
        assert base64.b32decode(text[1:].upper() + "======") == Cid.parse(EMPTY).to_bytes()
        with pytest.raises(CidError):
            Cid.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "b",
        EMPTY.upper(),
        " " + EMPTY,
        EMPTY + "=",
        EMPTY[:-1],
        "z" + EMPTY[1:],
        EMPTY[:-1] + "1",
        EMPTY[:-1] + "é",
        "QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR",
        "bafybeig\x00" + EMPTY[9:],
        "bafyrei" + EMPTY[7:],  # dag-cbor
        "../" + EMPTY,
        "b" * 59,
    ],
)
def test_what_is_no_cid_of_the_profile_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(CidError) as caught:
        Cid.parse(text)
    assert caught.value.remedy


@given(st.binary(max_size=40))
def test_bytes_that_are_no_cid_are_refused(data: bytes) -> None:
    try:
        cid = Cid.from_bytes(data)
    except CidError:
        return
    assert cid.to_bytes() == data


@pytest.mark.parametrize(("codec", "size"), [(0, 32), (0x71, 32), (0x55, 31), (0x70, 33)])
def test_a_codec_or_digest_that_the_chain_cannot_hold_is_refused(codec: int, size: int) -> None:
    with pytest.raises(CidError):
        Cid.from_chain(codec, bytes(size))
