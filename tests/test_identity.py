"""A caller is known by a keyed hash; nothing he sends makes him somebody else or trusted."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardening.errors import AccountError, StartError
from hardening.facts import Account
from hardening.identity import ANONYMOUS, Identifier, Keys, ProvenLedger

SECRET = b"a secret of this test, long enough"
KEYS = Keys.of(SECRET)
KEY = "sk-proj-0123456789"
HERE = "203.0.113.9"


def scope(*headers: tuple[str, str | bytes], client: str | None = HERE) -> dict[str, object]:
    raw = [(name.encode(), value if isinstance(value, bytes) else value.encode()) for name, value in headers]
    return {"type": "http", "headers": raw, "client": None if client is None else (client, 4711)}


def bearer(key: str = KEY, client: str | None = HERE) -> dict[str, object]:
    return scope(("authorization", f"Bearer {key}"), client=client)


def who(asked: dict[str, object], named: Account | str | None = None, **settings: object) -> Account:
    return Identifier(KEYS, **settings).identify(asked, named, 0.0)  # type: ignore[arg-type]


# Keys


def test_every_purpose_has_a_key_of_its_own():
    keys = Keys.of(SECRET)
    assert len({keys.identity, keys.sketch, keys.seal, keys.noise, keys.embedding}) == 5
    assert keys.durable


def test_keys_come_back_for_the_same_secret_and_differ_for_another():
    assert Keys.of(SECRET) == Keys.of(SECRET)
    assert Keys.of(SECRET).seal != Keys.of(SECRET + b"!").seal


def test_without_a_secret_every_process_has_its_own_keys():
    assert not Keys.of(None).durable
    assert Keys.of(None).identity != Keys.of(None).identity


def test_a_new_secret_keeps_accounts_and_vectors_draws_noise_anew_and_still_opens_old_seals():
    old, new = Keys.of(SECRET), Keys.of(b"n" * 32, previous=[SECRET])
    assert (new.identity, new.sketch, new.embedding) == (old.identity, old.sketch, old.embedding)
    assert new.seal != old.seal
    assert new.noise != old.noise
    assert new.previous_seals == (old.seal,)


@pytest.mark.parametrize("arguments", [(b"x" * 31,), (SECRET, [b"short"]), (b"",)])
def test_a_short_secret_is_refused_and_not_shown(arguments):
    with pytest.raises(StartError, match="at least 32") as caught:
        Keys.of(*arguments)
    assert "short" not in str(caught.value)


def test_repr_shows_no_key():
    assert KEYS.identity.hex() not in repr(KEYS)
    assert repr(KEYS.identity)[2:-1] not in repr(KEYS)


# Sources


def test_a_bearer_is_a_short_keyed_hash_and_never_the_key():
    account = who(bearer())
    assert re.fullmatch(r"key_[0-9a-f]{22}", account.id)
    assert KEY not in repr(account)
    assert account.id != Identifier(Keys.of(b"o" * 32)).identify(bearer(), None, 0.0).id


@pytest.mark.parametrize("value", [f"bearer {KEY}", f"BEARER   {KEY}", f"  Bearer {KEY} "])
def test_the_scheme_is_read_in_any_case_and_spacing(value):
    assert who(scope(("authorization", value))) == who(bearer())


@pytest.mark.parametrize("header", ["x-api-key", "api-key"])
def test_one_key_is_one_account_in_whatever_header(header):
    order = ("bearer", "header:x-api-key", "header:api-key")
    assert who(scope((header, KEY)), order=order).id == who(bearer(), order=order).id


def test_the_first_source_that_is_there_names_the_account():
    asked = scope(("authorization", f"Bearer {KEY}"), ("x-team", "red"))
    assert (
        who(asked, order=("header:x-team", "bearer")).id != who(asked, order=("bearer", "header:x-team")).id
    )
    assert who(asked, order=("header:x-other", "bearer")).id == who(bearer()).id


def test_a_header_that_is_no_key_has_a_domain_of_its_own():
    asked = scope(("x-team", KEY))
    assert who(asked, order=("header:x-team",)).id != who(bearer()).id


def test_without_any_source_a_caller_is_anonymous_and_stays_so():
    identifier = Identifier(KEYS, order=("bearer",))
    account = identifier.identify(scope(), None, 0.0)
    identifier.answered(account, 200, 0.0)
    assert account.id == ANONYMOUS
    assert not identifier.identify(scope(), None, 1.0).proven


@pytest.mark.parametrize(
    "source", ["x-api-key", "header:", "header:x-consumer-id", "header:Authorization", ""]
)
def test_a_source_that_cannot_be_is_refused(source):
    with pytest.raises(StartError, match=r"accounts\.identify"):
        Identifier(KEYS, order=(source,))


# Hostile headers


@pytest.mark.parametrize(
    "headers",
    [
        [("authorization", f"Bearer {KEY}"), ("authorization", "Bearer other")],
        [("authorization", f"Bearer {KEY}"), ("x-api-key", "made-up")],
        [("authorization", "Basic dTpw"), ("x-api-key", "made-up")],
        [("authorization", "Bearer " + "k" * 1_000_000)],
        [("authorization", "Basic dTpw")],
        [("authorization", "Bearer ")],
        [("authorization", "")],
        [("x-api-key", " ")],
    ],
)
def test_keys_that_are_unusable_or_disagree_name_nobody(headers):
    assert who(scope(*headers)).id == who(scope()).id
    assert who(scope(*headers), order=("bearer", "header:x-api-key")).id == ANONYMOUS


def test_the_same_key_twice_is_no_contradiction():
    asked = scope(("authorization", f"Bearer {KEY}"), ("authorization", f"bearer {KEY}"), ("x-api-key", KEY))
    assert who(asked).id == who(bearer()).id


def test_an_empty_header_is_not_there():
    assert who(scope(("authorization", ""), ("x-api-key", KEY))).id == who(bearer()).id


@given(st.lists(st.tuples(st.sampled_from([b"authorization", b"x-api-key", b"x-consumer-id"]), st.binary())))
def test_no_header_raises_or_proves(headers):
    account = who({"headers": headers, "client": (HERE, 1)})
    assert not account.proven
    assert account.id == ANONYMOUS or account.id.startswith(("key_", "ip_"))


# Networks and proxies


def network(host: str | None) -> str:
    return who(scope(client=host)).network


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.9", "203.0.113.200", True),
        ("203.0.113.9", "203.0.114.9", False),
        ("203.0.113.9", "::ffff:203.0.113.7", True),
        ("2001:db8:1:2::1", "2001:db8:1:ffff::9", True),
        ("2001:db8:1::1", "2001:db8:2::1", False),
        ("fe80::1%eth0", "fe80::2", True),
        (None, "", True),
        (None, "testclient", True),
        (None, "203.0.113.9", False),
    ],
)
def test_a_network_is_what_one_site_is_handed(one, other, same):
    assert (network(one) == network(other)) is same


def test_no_address_is_written_into_an_account():
    account = who(scope())
    assert account.id.startswith("ip_")
    assert HERE not in repr(account)


def test_clients_of_one_network_are_different_accounts():
    assert who(scope(client="203.0.113.9")).id != who(scope(client="203.0.113.10")).id
    assert who(scope(client="::ffff:203.0.113.9")).id == who(scope(client="203.0.113.9")).id


def test_only_a_trusted_peer_names_an_account():
    asked = scope(("x-consumer-id", "acme"), ("authorization", f"Bearer {KEY}"), client="10.1.2.3")
    trusted = who(asked, trusted_proxies=["10.0.0.0/8"])
    assert (trusted.id, trusted.proven) == ("acme", True)
    stranger = {**asked, "client": (HERE, 1)}
    assert who(stranger, trusted_proxies=["10.0.0.0/8"]) == who(bearer())
    assert who({**asked, "client": None}, trusted_proxies=["10.0.0.0/8"]).id == who(bearer()).id
    assert who(asked) == who(bearer(client="10.1.2.3"))


def test_a_mapped_address_is_the_proxy_that_it_is():
    asked = scope(("x-consumer-id", "acme"), client="::ffff:10.1.2.3")
    assert who(asked, trusted_proxies=["10.0.0.0/8"]).id == "acme"


@pytest.mark.parametrize(
    "headers",
    [
        [("x-consumer-id", "acme"), ("x-consumer-id", "evil")],
        [("x-consumer-id", b"\xff")],
        [("x-consumer-id", "a" * 257)],
        [("x-consumer-id", "a\tb")],
    ],
)
def test_a_proxy_that_names_badly_is_refused_rather_than_passed_over(headers):
    with pytest.raises(AccountError, match="x-consumer-id"):
        who(scope(*headers, client="10.0.0.1"), trusted_proxies=["10.0.0.0/8"])


def test_a_bad_network_fails_at_start():
    with pytest.raises(StartError, match="trusted_proxies"):
        Identifier(KEYS, trusted_proxies=["10.0.0.0/99"])


# Named by the app


def test_the_app_is_believed_and_the_network_is_ours():
    named = Account("acct_1", org="acme", groups=("partner",), network="made up")
    account = who(bearer(), named)
    assert (account.id, account.org, account.groups, account.proven) == ("acct_1", "acme", ("partner",), True)
    assert account.network == who(bearer()).network
    assert who(bearer(), "acct_1").proven


def test_the_app_is_not_asked_where_the_policy_does_not_name_it():
    assert who(bearer(), "acct_1", order=("bearer",)).id == who(bearer()).id


@pytest.mark.parametrize(
    "named",
    ["", "a" * 257, "a\nb", "a\ud800", 7, Account("ok", org="a\0"), Account("ok", groups=("",)), Account(7)],  # type: ignore[arg-type]
)
def test_a_name_that_may_not_be_is_refused_and_not_quoted(named):
    with pytest.raises(AccountError) as caught:
        who(bearer(), named)
    assert "aaaa" not in str(caught.value)


@pytest.mark.parametrize(
    "attributes",
    [["plan"], {"plan": 7}, {"": "trial"}, {"plan": "a" * 257}, {"plan": "a\n"}, {str(one): "a" for one in range(17)}],
)  # fmt: skip
def test_attributes_that_may_not_be_are_refused_and_not_quoted(attributes):
    with pytest.raises(AccountError, match="attribute") as caught:
        who(bearer(), Account("anne", attributes=attributes))
    assert "aaaa" not in str(caught.value)


def test_attributes_stay_with_the_account_and_are_not_shown():
    account = who(bearer(), Account("anne", attributes={"payment": "card_91"}))
    assert account.attributes == {"payment": "card_91"}
    assert "card_91" not in repr(account)
    assert who(bearer()).attributes == {}


def test_an_app_that_hands_back_the_raw_key_does_not_leak_it():
    account = who(bearer(), KEY)
    assert account.id == who(bearer()).id
    assert account.proven


# Proven


def test_a_caller_is_proven_by_acceptance_and_no_longer_after_a_rejection():
    identifier = Identifier(KEYS)
    account = identifier.identify(bearer(), None, 0.0)
    assert not account.proven
    identifier.answered(account, 200, 0.0)
    assert identifier.identify(bearer(), None, 1.0).proven
    identifier.answered(account, 401, 2.0)
    assert not identifier.identify(bearer(), None, 3.0).proven


def test_a_regular_is_rejected_like_anybody():
    ledger = ProvenLedger()
    for status in (200, 200, 401):
        ledger.mark("a", status, 0.0)
    assert not ledger.is_proven("a", 1.0)
    assert len(ledger) == 0


def test_who_may_not_do_one_thing_is_still_known():
    identifier = Identifier(KEYS)
    account = identifier.identify(bearer(), None, 0.0)
    for status in (200, 403):
        identifier.answered(account, status, 0.0)
    assert identifier.identify(bearer(), None, 1.0).proven


def test_a_neighbour_with_a_made_up_key_takes_no_address_its_proof():
    identifier = Identifier(KEYS, order=["client"])
    identifier.answered(identifier.identify(bearer(), None, 0.0), 200, 0.0)
    identifier.answered(identifier.identify(bearer(), None, 1.0), 401, 1.0)
    assert identifier.identify(bearer(), None, 2.0).proven


def test_whom_the_app_names_takes_no_room_in_the_ledger():
    identifier = Identifier(KEYS)
    identifier.answered(identifier.identify(bearer(), "acct_1", 0.0), 200, 0.0)
    assert len(identifier.ledger) == 0


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 413, 422, 429, 500, 503])
def test_only_acceptance_proves(status):
    identifier = Identifier(KEYS)
    identifier.answered(identifier.identify(bearer(), None, 0.0), status, 0.0)
    assert not identifier.identify(bearer(), None, 1.0).proven


def test_a_flood_of_rejections_from_elsewhere_takes_no_proof_away():
    identifier = Identifier(KEYS)
    identifier.answered(identifier.identify(bearer(), None, 0.0), 200, 0.0)
    spoofed = bearer(client="198.51.100.1")
    attacker = identifier.identify(spoofed, None, 1.0)
    assert not attacker.proven
    identifier.answered(attacker, 401, 1.0)
    assert identifier.identify(bearer(), None, 2.0).proven


def test_a_ledger_forgets_with_time():
    ledger = ProvenLedger(keep_s=60.0)
    ledger.mark("a", 200, 0.0)
    assert ledger.is_proven("a", 59.9)
    assert not ledger.is_proven("a", 60.0)


def test_a_flood_of_new_callers_pushes_out_no_regular_and_stays_bounded():
    ledger = ProvenLedger(capacity=100)
    for _ in range(2):
        ledger.mark("regular", 200, 0.0)
    for number in range(10_000):
        ledger.mark(f"rejected {number}", 401, 1.0)
        ledger.mark(f"accepted once {number}", 200, 1.0)
    assert ledger.is_proven("regular", 2.0)
    assert len(ledger) <= 100


def test_a_regular_pushed_back_by_regulars_is_still_proven():
    ledger = ProvenLedger(capacity=4)
    for name in ("a", "a", "b", "b", "c", "c"):
        ledger.mark(name, 201, 0.0)
    assert all(ledger.is_proven(name, 1.0) for name in "abc")


@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from([200, 204, 401, 403, 500]))))
def test_a_ledger_is_bounded_and_never_proves_whom_the_app_last_rejected(marks):
    ledger = ProvenLedger(capacity=10)
    last: dict[int, int] = {}
    for number, status in marks:
        ledger.mark(str(number), status, 0.0)
        if status not in (403, 500):
            last[number] = status
    assert len(ledger) <= 10
    for number in range(41):
        if last.get(number, 401) == 401:
            assert not ledger.is_proven(str(number), 1.0)


# The key beside the account, for limits that are counted by it


def test_the_key_beside_a_named_account_is_told_only_where_a_limit_counts_by_it():
    assert who(bearer(), "acct_7").key == ""
    key = who(bearer(), "acct_7", by_key=True).key
    assert key.startswith("key_")
    assert KEY not in key
    assert key == who(scope(("x-api-key", KEY)), "acct_7", by_key=True).key
    assert key != who(bearer("another"), "acct_7", by_key=True).key


def test_two_keys_that_differ_are_none_so_that_nobody_mixes_himself_new_ones():
    mixed = scope(("authorization", f"Bearer {KEY}"), ("x-api-key", "made up"))
    assert who(mixed, "acct_7", by_key=True).key == ""
    assert who(scope(), "acct_7", by_key=True).key == ""
    assert who(scope(("authorization", "Basic x")), "acct_7", by_key=True).key == ""


def test_an_app_cannot_hand_over_a_key():
    assert who(scope(), Account("acct_7", key="mine"), by_key=True).key == ""
