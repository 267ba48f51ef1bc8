"""Customer accounts: made with their owner, found, changed, closed, removed — whmcs-api §3.6, security §10, §30."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from bridge.accounts.account import Account, Billing, CustomField, EmailPreferences, Profile
from bridge.accounts.accounts import Removed
from bridge.accounts.outcomes import EmailTaken, NoAccount, NoUser, UserExists
from bridge.accounts.permissions import EVERY_PERMISSION
from bridge.database.search import Span
from bridge.database.tables import accounts as table
from bridge.database.tables import contacts, invites, memberships, users
from bridge.database.text import InvalidField
from bridge.errors import Unavailable
from bridge.events.ledger import Deed
from bridge.secret import Secret
from bridge.types import AccountId
from bridge.users.user import NewUser
from tests.accounts.world import GHOST, NOWHERE, World

FULL = Profile(
    first_name="Ada",
    last_name="Lovelace",
    company_name="Analytical Engines",
    email="Ada@Example.com",
    address1="12 St James's Square",
    address2="1st floor",
    city="London",
    state="Greater London",
    postcode="SW1Y 4JH",
    country="GB",
    phone_number="+44.2012345678",
    tax_id="GB123",
    status="Inactive",
    group_id=3,
    currency="GBP",
    credit="12.50",
    language="english",
    notes="called twice\nis content",
    tax_exempt=True,
    marketing_opt_in=True,
    allow_single_sign_on=False,
    email_preferences=EmailPreferences(invoice=False),
    billing=Billing(payment_method="paypal", separate_invoices=True),
    custom_fields=(CustomField(7, "blue"), CustomField(9, "ü\n2")),
)


async def create(world: World, profile: Profile, owner: object) -> object:
    return await world.do(lambda deed: world.accounts.create(deed, profile, owner=owner))  # type: ignore[arg-type]


async def draft(world: World, email: str) -> NewUser:
    return await world.users.draft(email=email, password=Secret("correct horse battery"), first_name="Ada")


async def test_an_account_is_what_was_asked_for(everywhere: World) -> None:
    owner = await everywhere.user("ada")
    made = await create(everywhere, FULL, owner.id)
    assert isinstance(made, Account)
    assert made.profile == FULL and made.owner == owner.id and len(made.uuid) == 36
    assert made.created_at == made.updated_at == int(everywhere.clock.now())
    assert made.name == "Ada Lovelace" and not made.email_verified and not made.closed
    assert await everywhere.accounts.by_id(made.id) == made
    (member,) = await everywhere.members.of_account(made.id)
    assert member.membership.owner and member.membership.permissions == EVERY_PERMISSION


async def test_an_account_and_its_new_owner_are_made_together(everywhere: World) -> None:
    made = await create(everywhere, FULL, await draft(everywhere, "new@example.com"))
    assert isinstance(made, Account)
    owner = await everywhere.users.by_email("new@example.com")
    assert owner is not None and owner.id == made.owner
    assert await everywhere.rows() == [("user.created", owner.id), ("account.created", owner.id)]
    assert everywhere.kinds == ["user.created", "account.created"]
    assert everywhere.told.names == ["accounts", "users"]
    assert [event.actor for event in everywhere.heard] == ["portal"] * 2 and everywhere.heard[1].kept


async def test_of_an_account_whose_address_is_taken_not_even_the_owner_is_made(everywhere: World) -> None:
    await everywhere.account("ada", email="ada@example.com")
    everywhere.heard.clear()
    before = await everywhere.rows()
    assert await create(everywhere, FULL, await draft(everywhere, "new@example.com")) == EmailTaken()
    assert await everywhere.users.by_email("new@example.com") is None
    assert await everywhere.count(table) == 1 and await everywhere.count(memberships) == 1
    assert everywhere.heard == [] and await everywhere.rows() == before


async def test_of_an_account_whose_owner_has_a_taken_address_nothing_is_made(everywhere: World) -> None:
    await everywhere.user("ada")
    assert await create(everywhere, FULL, await draft(everywhere, "ADA@example.com")) == UserExists()
    assert await everywhere.count(table) == 0 and everywhere.heard == []


async def test_an_owner_must_be_there(everywhere: World) -> None:
    assert await create(everywhere, FULL, GHOST) == NoUser()
    gone = await everywhere.user("gone")
    await everywhere.do(lambda deed: everywhere.upkeep.remove(deed, gone.id))
    assert await create(everywhere, FULL, gone.id) == NoUser()
    assert await everywhere.count(table) == 0


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("ada@example.com", " ADA@example.com\t"),
        ("stra\xdfe@example.com", "STRASSE@example.com"),
        ("o\ufb03ce@example.com", "office@example.com"),
        ("jos\xe9@example.com", "jose\u0301@example.com"),
        ("ada@b\xfccher.example", "ada@xn--bcher-kva.example"),
    ],
)
async def test_s10_variants_of_one_address_are_one_account_on_every_database(
    everywhere: World, first: str, second: str
) -> None:
    owner = await everywhere.user("owner")
    made = await everywhere.account("one", owner.id, email=first)
    assert await everywhere.accounts.by_email(second) == made
    assert await create(everywhere, Profile(email=second), owner.id) == EmailTaken()


async def test_s10_different_addresses_are_different_accounts_on_every_database(everywhere: World) -> None:
    emails = ("jose@a.com", "jos\xe9@a.com", "isik@a.com", "\u0131s\u0131k@a.com", "a_b@a.com", "axb@a.com", "a%@a.com")
    owner = await everywhere.user("owner")
    made = [await everywhere.account("x", owner.id, email=email) for email in emails]
    assert [await everywhere.accounts.by_email(email) for email in emails] == made


async def test_any_number_of_accounts_have_no_address(everywhere: World) -> None:
    owner = await everywhere.user("owner")
    made = [await everywhere.account("x", owner.id, email="") for _ in range(2)]
    assert [each.profile.email for each in made] == ["", ""]
    assert await everywhere.accounts.by_email("") is None


async def test_the_number_of_a_removed_account_is_not_used_again(everywhere: World) -> None:
    owner = await everywhere.user("owner")
    first = await everywhere.account("one", owner.id)
    await everywhere.do(lambda deed: everywhere.accounts.remove(deed, first.id))
    second = await everywhere.account("two", owner.id)
    assert second.id > first.id and second.uuid != first.uuid


async def test_a_currency_that_is_not_named_is_the_configured_one(world: World) -> None:
    assert (await world.account("one")).profile.currency == "EUR"


async def test_what_moves_a_cursor_is_written_as_blanks_and_nothing_is_cut(everywhere: World) -> None:
    made = await everywhere.account("one", first_name="A\x00da\r\n \x1b[31m", notes="a\r\nb\x07", city="x" * 100)
    assert (made.profile.first_name, made.profile.notes) == ("A da [31m", "a\nb ")
    assert made.profile.city == "x" * 100


async def test_a_change_is_of_the_profile_as_it_is_now(everywhere: World) -> None:
    made = await everywhere.account("ada", city="London", email="ada@example.com")
    everywhere.clock.move(60)
    everywhere.heard.clear()
    changed = await everywhere.do(
        lambda deed: everywhere.accounts.update(
            deed, made.id, lambda profile: replace(profile, city=f"{profile.city} N", tax_exempt=True)
        )
    )
    assert isinstance(changed, Account) and changed == await everywhere.accounts.by_id(made.id)
    assert changed.profile == replace(made.profile, city="London N", tax_exempt=True)
    assert (changed.uuid, changed.created_at) == (made.uuid, made.created_at)
    assert changed.updated_at == made.updated_at + 60
    (event,) = everywhere.heard
    assert (event.kind, event.details) == ("account.changed", {"account": str(made.id), "fields": "city tax_exempt"})


async def test_a_changed_name_is_found_and_the_old_one_is_not(everywhere: World) -> None:
    made = await everywhere.account("ada", last_name="Byron", company_name="Old")
    await everywhere.do(
        lambda deed: everywhere.accounts.update(
            deed, made.id, lambda profile: replace(profile, last_name="Lovelace", company_name="New")
        )
    )
    found = {
        text: (await everywhere.accounts.page(search=text)).total for text in ("byron", "lovel", "ada l", "old", "new")
    }
    assert found == {"byron": 0, "lovel": 1, "ada l": 1, "old": 0, "new": 1}


async def test_another_accounts_address_is_refused_and_nothing_else_is_changed(everywhere: World) -> None:
    one, two = await everywhere.account("one"), await everywhere.account("two")
    everywhere.heard.clear()
    change = lambda profile: replace(profile, email="ONE@accounts.example", city="Bonn")  # noqa: E731
    assert await everywhere.do(lambda deed: everywhere.accounts.update(deed, two.id, change)) == EmailTaken()
    assert await everywhere.accounts.by_id(two.id) == two and everywhere.heard == []
    assert await everywhere.accounts.by_email("one@accounts.example") == one


async def test_a_changed_address_is_no_longer_verified(world: World) -> None:
    made = await world.account("one")
    async with world.db.begin() as tx:
        await tx.execute(table.update().values(email_verified=True))

    async def updated(**new: str) -> Account:
        changed = await world.do(
            lambda deed: world.accounts.update(deed, made.id, lambda profile: replace(profile, **new))  # type: ignore[arg-type]
        )
        assert isinstance(changed, Account)
        return changed

    assert (await updated(city="Bonn")).email_verified
    assert not (await updated(email="another@example.com")).email_verified


async def test_a_change_that_cannot_be_is_refused_whole(everywhere: World) -> None:
    made = await everywhere.account("one")
    with pytest.raises(InvalidField, match="postcode"):
        await everywhere.do(
            lambda deed: everywhere.accounts.update(deed, made.id, lambda p: replace(p, city="Bonn", postcode="x" * 33))
        )
    assert await everywhere.accounts.by_id(made.id) == made


async def test_a_closed_account_says_so_however_often_it_is_closed(everywhere: World) -> None:
    made = await everywhere.account("one")
    for _ in range(2):
        closed = await everywhere.do(lambda deed: everywhere.accounts.close(deed, made.id))
        assert isinstance(closed, Account) and closed.closed
    assert (await everywhere.accounts.page(status="Closed")).total == 1
    assert (await everywhere.accounts.page(status="Active")).total == 0


async def test_what_is_done_to_no_account_is_told(everywhere: World) -> None:
    rooms = everywhere.accounts
    outcomes = [
        await everywhere.do(lambda deed: rooms.close(deed, NOWHERE)),
        await everywhere.do(lambda deed: rooms.remove(deed, NOWHERE, with_users=True)),
        await everywhere.do(lambda deed: rooms.update(deed, NOWHERE, lambda profile: profile)),
    ]
    assert outcomes == [NoAccount()] * 3
    assert await rooms.by_id(NOWHERE) is None and everywhere.heard == [] and await everywhere.rows() == []


async def test_a_removed_account_leaves_nothing_but_its_members(everywhere: World) -> None:
    made = await everywhere.account("one")
    member = await everywhere.user("member")
    await everywhere.join(member.id, made.id)
    await everywhere.do(lambda deed: everywhere.invites.create(deed, made.id, "x@example.com", ("tickets",)))
    removed = await everywhere.do(lambda deed: everywhere.accounts.remove(deed, made.id))
    assert removed == Removed(account=made, users=())
    assert [await everywhere.count(each) for each in (table, memberships, invites, contacts)] == [0] * 4
    assert await everywhere.users.by_id(member.id) == member
    assert (await everywhere.rows())[-1][0] == "account.removed"


async def test_with_its_users_those_who_belong_to_no_other_account_are_removed(everywhere: World) -> None:
    """`deleteusers`: the owner goes, a member goes; not who belongs elsewhere, nor whom another authority keeps."""
    one, two = await everywhere.account("one"), await everywhere.account("two")
    member, both, far = [await everywhere.user(name) for name in ("member", "both", "far")]
    for user in (member, both, far):
        await everywhere.join(user.id, one.id)
    await everywhere.join(both.id, two.id)
    async with everywhere.db.begin() as tx:
        await tx.execute(users.update().where(users.c.id == far.id).values(authority="whmcs"))
    removed = await everywhere.do(lambda deed: everywhere.accounts.remove(deed, one.id, with_users=True))
    assert isinstance(removed, Removed)
    assert [user.id for user in removed.users] == [one.owner, member.id]
    there = [await everywhere.users.by_id(number) is not None for number in (one.owner, member.id, both.id, far.id)]
    assert there == [False, False, True, True]
    assert await everywhere.accounts.by_id(two.id) == two


async def test_s30_a_change_whose_row_cannot_be_written_has_not_happened(
    everywhere: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await everywhere.account("one")
    everywhere.heard.clear()

    async def away(*_: object, **__: object) -> None:
        raise Unavailable("the disk is full")

    monkeypatch.setattr(Deed, "record", away)
    for work in (
        lambda deed: everywhere.accounts.close(deed, made.id),
        lambda deed: everywhere.accounts.update(deed, made.id, lambda p: replace(p, city="Bonn")),
        lambda deed: everywhere.accounts.remove(deed, made.id, with_users=True),
        lambda deed: everywhere.accounts.create(deed, Profile(), owner=made.owner),
    ):
        with pytest.raises(Unavailable):
            await everywhere.do(work)
    assert await everywhere.accounts.by_id(made.id) == made and await everywhere.count(table) == 1
    assert everywhere.heard == []


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("", [1, 2, 3, 4, 5]),
        ("  ", [1, 2, 3, 4, 5]),
        ("ada", [1, 4]),
        ("ADA@ex", [1]),
        ("lovelace", [1]),
        ("ada love", [1]),
        ("ada  Love", [1]),
        ("love ada", []),
        ("jose", [2]),
        ("José M", [2]),
        ("mül", [2]),
        ("jos\u0301e", [2]),
        ("acme", [3, 4]),
        ("王", [5]),
        ("%", []),
        ("_da", []),
        ("ad_", []),
        ("\\", []),
        ("da", []),
        ("x@bücher.example", [5]),
        ("x@xn--b", [5]),
        ("ada\x00", [1, 4]),
        ("\ud800ada", [1, 4]),
        ("a" * 5_000, []),
    ],
)
async def test_a_search_finds_what_begins_so_on_every_database(
    everywhere: World, search: str, expected: list[int]
) -> None:
    owner = await everywhere.user("owner")
    profiles = [
        Profile(first_name="Ada", last_name="Lovelace", email="ada@example.com"),
        Profile(first_name="José", last_name="Müller", email="jm@example.com"),
        Profile(company_name="ACME Ltd", email="billing@acme.example"),
        Profile(first_name="Bob", company_name="Acme Inc", email="adam@example.com"),
        Profile(first_name="王", last_name="小明", email="x@bücher.example"),
    ]
    numbers: dict[AccountId, int] = {}
    for number, profile in enumerate(profiles, 1):
        made = await everywhere.ask(everywhere.accounts.create, profile, owner=owner.id)
        assert isinstance(made, Account)
        numbers[made.id] = number
    page = await everywhere.accounts.page(search=search)
    assert [numbers[each.id] for each in page.items] == expected and page.total == len(expected)


async def test_a_page_is_part_of_the_whole_list(everywhere: World) -> None:
    owner = await everywhere.user("owner")
    made = [
        await everywhere.account(name, owner.id, status="Inactive" if name > "c" else "Active", email=email)
        for name, email in (("b", "2@x.example"), ("a", ""), ("c", "1@x.example"), ("d", "3@x.example"))
    ]
    b, a, c, d = (each.id for each in made)
    page = everywhere.accounts.page

    async def numbers(*arguments: Span, **named: object) -> list[AccountId]:
        return [each.id for each in (await page(*arguments, **named)).items]  # type: ignore[arg-type]

    assert await numbers() == [b, a, c, d]
    assert await numbers(Span(descending=True)) == [d, c, a, b]
    assert await numbers(Span(start=1, limit=2)) == [a, c]
    assert await numbers(Span(start=9)) == await numbers(Span(limit=0)) == []
    assert await numbers(Span(start=-5, limit=1)) == [b]
    assert await numbers(order_by="firstname") == [a, b, c, d]
    assert await numbers(Span(descending=True), order_by="firstname") == [d, c, b, a]
    assert await numbers(order_by="email") == [a, c, b, d]
    assert await numbers(Span(descending=True), order_by="email") == [d, b, c, a]
    assert await numbers(order_by="status") == [b, a, c, d]  # equals by their numbers
    assert await numbers(Span(descending=True), order_by="groupid") == [d, c, a, b]
    assert await numbers(status="Inactive") == [d]
    assert await numbers(status="Inactive", search="b") == []
    found = await page(Span(start=1, limit=1), search="b")
    assert (found.total, found.start, found.items) == (1, 1, [])
    assert (await page(Span(start=2))).total == 4


async def test_the_owner_is_a_column_that_is_never_empty(everywhere: World) -> None:
    async with everywhere.db.read() as tx:
        assert (await tx.execute(select(table.c.owner_id).where(table.c.owner_id.is_(None)))).first() is None
    assert not table.c.owner_id.nullable
