"""December of a real shop, sold again through the till: sales, cancellations, cards, points.

The invoices are handed in each evening, as of their own moment; discount documents are audited
at noon. So what a morning's sale costs is asked after a document that it did not know.
"""

import csv
import lzma
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa

from core.clock import FixedClock
from core.context import Context
from core.demo.loading import SALES, load_base
from core.ledger.reading import Balance, balance
from core.records.operations import create_many
from core.testing.site import Site
from core.till.certificates import examine
from tests.bench.measure import Caller
from tests.integration.till_world import Till

LONDON = ZoneInfo("Europe/London")

#: The days of the file, when documents are audited and when a day's invoices are handed in.
FIRST, LAST = date(2010, 12, 1), date(2010, 12, 14)
NOON, EVENING = time(12), time(21)

#: Card type -> what it brings; whose customer's number is even has GOLD.
CARD_TYPES: Mapping[str, dict[str, Any]] = {
    "GOLD": {"name": "Gold", "type_prefix": "01", "default_rate": "0.95", "stack_start": "0.8",
             "stack_rate": "0.95", "points_rate": "1", "identity_multiple": "1"},
    "SILVER": {"name": "Silver", "type_prefix": "02", "default_rate": "0.98",
               "points_rate": "0.5"},
}  # fmt: skip

#: Whole boxes are cheaper for everybody: lines from so many pieces on, and what is left.
BOX, BOX_RATE = 24, "0.85"

#: Words of a product's name -> its brand or small class.
BRANDS = {"RETROSPOT": "RETROSPOT", "REGENCY": "REGENCY"}
CLASSES = {"CHRISTMAS": "2101", "BAG": "2201", "LANTERN": "1101", "HANGING": "1102",
           "CAKE": "1202", "MUG": "1201", "CUP": "1201", "BIRTHDAY": "2102"}  # fmt: skip

#: Every so manieth member is born on the day of the first purchase; pays with points; and the
#: scene that a birthday is.
BORN, SPENDING = 4, 3
BIRTHDAY = {
    "title": "生日三倍", "effect": "multiplier", "multiplier": "3",
    "effective_from": "2010-12-01",
    "condition": "MONTH(member.birthday) == MONTH(sale.ordered_at)"
                 " and DAY(member.birthday) == DAY(sale.ordered_at)",
}  # fmt: skip

#: What a preview and its return say alike.
SHOWN = ("lines", "amount", "refund", "claw_back", "F", "F_price", "lots", "notes")


def documents(second: date, third: date) -> dict[date, dict[str, Any]]:
    """Return three documents by the day of their audit; on a brand the later ones win."""
    return {
        FIRST - timedelta(days=1): {
            "no": "EVE", "card_types": ["GOLD", "SILVER"], "effective_from": "2010-12-01",
            "lines": [{"scope": "brand", "targets": ["RETROSPOT"], "rate": "0.9"},
                      {"scope": "big_class", "targets": ["2"], "rate": "0.97"}],
        },
        second: {
            "no": "SECOND", "card_types": ["GOLD", "SILVER"], "effective_from": str(FIRST),
            "lines": [{"scope": "brand", "targets": ["RETROSPOT", "REGENCY"], "rate": "0.85"}],
        },
        third: {
            "no": "THIRD", "card_types": ["SILVER"], "effective_from": str(FIRST),
            "lines": [{"scope": "brand", "targets": ["RETROSPOT"], "rate": "0.88",
                       "joins_stacking": False},
                      {"scope": "small_class", "targets": ["2101"], "rate": "0.9",
                       "condition": "line.quantity >= 6"}],
        },
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the file; `price` is of one, `amount` of all of it."""

    code: str
    name: str
    quantity: Decimal
    price: Decimal

    @property
    def amount(self) -> Decimal:
        """Return quantity times price, exactly."""
        return self.quantity * self.price


@dataclass(slots=True)
class Invoice:
    """An invoice or a cancellation; `customer` is "" where nobody is named."""

    no: str
    at: datetime
    customer: str
    rows: list[Row] = field(default_factory=list)

    @property
    def is_cancellation(self) -> bool:
        """Return whether goods came back."""
        return self.no.startswith("C")


@dataclass(slots=True)
class Sold:
    """A line that was sold, with what has not come back of it."""

    order: str
    line: int
    left: Decimal


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that was booked, and the id that it was answered with."""

    path: str
    body: dict[str, Any]
    key: str
    id: str


@dataclass(slots=True)
class Figures:
    """What became of the rows; amounts at the prices of the file.

    Attributes:
        refused: (invoice, position, code, amount) of each row that was not booked.
        due: what was to be paid of what was sold; `refunds` what went back.
        clawed: category -> points taken back; `bought` points F.
        red: (moment, card type, document) of each line of the brand that three documents name.
    """

    sold: Decimal = Decimal(0)
    sales: int = 0
    sold_lines: int = 0
    returned: Decimal = Decimal(0)
    returns: int = 0
    refused: list[tuple[str, int, str, Decimal]] = field(default_factory=list)
    due: Decimal = Decimal(0)
    points_paid: Decimal = Decimal(0)
    refunds: Decimal = Decimal(0)
    clawed: Counter[str] = field(default_factory=Counter)
    bought: int = 0
    red: list[tuple[datetime, str, str]] = field(default_factory=list)
    multiplied: int = 0

    @property
    def total(self) -> Decimal:
        """Return the sum of the file: what was sold, what came back and what was refused."""
        return self.sold + self.returned + sum((one[3] for one in self.refused), Decimal(0))

    def refused_as(self, *, cancelled: bool) -> list[tuple[str, int, str, Decimal]]:
        """Return the refused rows of cancellations, or those of sales."""
        return [one for one in self.refused if one[0].startswith("C") is cancelled]


def read_invoices(last: date = LAST, longest: int = 0) -> list[Invoice]:
    """Return the invoices up to a day, in the order of the file, which is that of time.

    Those of more than `longest` rows are left out, unless it is 0.
    """
    found: dict[str, Invoice] = {}
    with lzma.open(SALES, "rt", encoding="utf-8", newline="") as text:
        for row in csv.DictReader(text):
            at = datetime.fromisoformat(row["InvoiceDate"]).replace(tzinfo=LONDON)
            if at.date() > last:
                break
            customer = row["CustomerID"].removesuffix(".0")
            invoice = found.setdefault(
                row["InvoiceNo"], Invoice(row["InvoiceNo"], at.astimezone(UTC), customer)
            )
            name = row["Description"].strip() or row["StockCode"]
            amounts = Decimal(row["Quantity"]), Decimal(row["UnitPrice"])
            invoice.rows.append(Row(row["StockCode"], name, *amounts))
    return [one for one in found.values() if not longest or len(one.rows) <= longest]


def card_type_of(customer: str) -> str:
    """Return the card type of a customer's card."""
    return "SILVER" if int(customer) % 2 else "GOLD"


class Replay:
    """A shop that sells the invoices of some days once more."""

    def __init__(
        self, site: Site, clock: FixedClock, invoices: list[Invoice], audits: tuple[date, date]
    ) -> None:
        """Sell on `site`, whose clock is `clock`; two documents are audited on these days."""
        self.site, self.clock = site, clock
        self.till = Till(site)
        self.invoices = invoices
        self.audits = documents(*audits)
        self.figures = Figures()
        self.sent: list[Sent] = []
        self.members: dict[str, str] = {}
        self.cards: dict[str, str] = {}
        self.birthdays: dict[str, date] = {}
        self._visited: set[str] = set()
        self._left: defaultdict[tuple[str, str], list[Sold]] = defaultdict(list)
        self._types: dict[str, str] = {}
        self._red: set[str] = set()
        self._caller = Caller(site.app, _token(site))

    @property
    def ctx(self) -> Context:
        """Return a context of the administrator at the clock's moment."""
        return self.site.context("admin")

    def open_shop(self) -> None:
        """Make the shop, its products, members and cards; the birthday's scene is in force."""
        self._set(FIRST - timedelta(days=1), NOON)
        load_base(self.ctx)
        store = self._ids("store")["UK"]
        self._create("product", self._products())
        self._create("member", self._people(store))
        self.members = self._ids("member", "no")
        for code, values in CARD_TYPES.items():
            made = self.till.approve("card_type", {"code": code, **values})
            self._types[code] = made["id"]
        kinds = [self._types[card_type_of(no)] for no in self.members]
        self._create(
            "card",
            [
                {"card_type": kind, "store": store, "member": member, "status": "active"}
                for kind, member in zip(kinds, self.members.values(), strict=True)
            ],
        )
        numbers = self._ids("card", "member", "number")
        self.cards = {no: numbers[member] for no, member in self.members.items()}
        self.till.approve("points_scene", BIRTHDAY)

    def run(self) -> None:
        """Hand in every day in the evening, with the documents audited in between."""
        self._audit(FIRST - timedelta(days=1))
        days: dict[date, list[Invoice]] = {}
        for invoice in self.invoices:
            days.setdefault(invoice.at.astimezone(LONDON).date(), []).append(invoice)
        for day, invoices in days.items():
            if day in self.audits:
                self._audit(day)
            self._set(day, EVENING)
            for invoice in invoices:
                (self._cancel if invoice.is_cancellation else self._sell)(invoice)

    def again(self) -> list[tuple[Sent, int, str, bool]]:
        """Send everything a second time; return what differs: request, status, id, replayed."""
        differing = []
        for one in self.sent:
            status, body, headers = self._post(one.path, one.body, one.key)
            got = one, status, body.get("id", ""), headers.get("Idempotent-Replayed") == "true"
            if got[1:] != (201, one.id, True):
                differing.append(got)
        return differing

    def counts(self) -> dict[str, int]:
        """Return how many orders, certificates, postings and entries there are."""
        names = ("r_order", "gx_certificate", "gx_posting", "gx_entry", "gx_lot")
        with self.site.services.db.read() as connection:
            return {
                name: int(connection.scalar(sa.text(f"SELECT COUNT(*) FROM {name}")) or 0)
                for name in names
            }

    def unproved(self) -> dict[str, list[str]]:
        """Return order -> problems of each whose certificate does not reproduce it."""
        ctx = self.ctx
        found = {one.id: examine(ctx, one.id) for one in self.sent}
        return {key: one["problems"] for key, one in found.items() if not one["holds"]}

    def certificate(self, order: str) -> dict[str, Any]:
        """Return an order's certificate as the till answers it."""
        status, content, _ = self._caller("GET", f"/api/v1/till/orders/{order}/certificate")
        assert status == 200, content
        return dict(msgspec.json.decode(content))

    def standings(self) -> Iterator[Balance]:
        """Yield how the points of each member stand."""
        ctx = self.ctx
        for member in self.members.values():
            yield balance(ctx, "points", member)

    def _set(self, day: date, at: time) -> None:
        self.clock.move(datetime.combine(day, at, LONDON) - self.clock.now())

    def _audit(self, day: date) -> None:
        self._set(day, NOON)
        values = self.audits[day]
        types = [self._types[code] for code in values["card_types"]]
        made = self.till.approve("discount_rule", {**values, "card_types": types})
        assert made["status"] == "effective"

    def _create(self, record_type: str, items: list[dict[str, Any]]) -> None:
        for start in range(0, len(items), 500):
            for one in create_many(self.ctx, record_type, items[start : start + 500]):
                if isinstance(one, Exception):
                    raise one

    def _ids(self, record_type: str, key: str = "code", value: str = "id") -> dict[str, str]:
        """Return key -> value of the records of a type, in the order of the keys."""
        table = self.ctx.registry.tables[record_type].main
        query = sa.select(table.c[key], table.c[value]).order_by(table.c[key])
        with self.site.services.db.read() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def _products(self) -> list[dict[str, Any]]:
        brands, classes = self._ids("brand"), self._ids("category")
        made: dict[str, dict[str, Any]] = {}
        for row in (row for invoice in self.invoices for row in invoice.rows):
            brand = next((brands[to] for word, to in BRANDS.items() if word in row.name), None)
            kind = next((classes[to] for word, to in CLASSES.items() if word in row.name), None)
            made.setdefault(row.code, {
                "code": row.code, "name": row.name, "list_price": str(row.price),
                "brand": brand, "category": kind,
            })  # fmt: skip
        self._red = {code for code, one in made.items() if one["brand"] == brands["RETROSPOT"]}
        return list(made.values())

    def _people(self, store: str) -> list[dict[str, Any]]:
        first: dict[str, date] = {}
        for invoice in self.invoices:
            if invoice.customer:
                first.setdefault(invoice.customer, invoice.at.astimezone(LONDON).date())
        self.birthdays = {
            no: day.replace(year=1970) for no, day in first.items() if int(no) % BORN == 0
        }
        return [
            {
                "no": no, "name": f"Customer {no}", "store": store, "joined_on": str(day),
                "birthday": str(self.birthdays[no]) if no in self.birthdays else None,
            }
            for no, day in first.items()
        ]  # fmt: skip

    def _post(
        self, path: str, body: dict[str, Any], key: str
    ) -> tuple[int, dict[str, Any], dict[str, str]]:
        headers = {"idempotency_key": key} if key else {}
        status, content, told = self._caller("POST", path, body=body, **headers)
        return status, msgspec.json.decode(content), told

    def _book(self, path: str, body: dict[str, Any], key: str) -> dict[str, Any]:
        status, answer, _ = self._post(path, body, key)
        assert status == 201, (key, answer)
        self.sent.append(Sent(path, body, key, answer["id"]))
        return answer

    def _asked(self, invoice: Invoice, rows: list[Row]) -> dict[str, Any]:
        lines = [
            {"product": row.code, "quantity": str(row.quantity), "unit_price": str(row.price)}
            | ({"other_rate": BOX_RATE} if row.quantity >= BOX else {})
            for row in rows
        ]
        body = {"store": "UK", "at": invoice.at.isoformat(), "lines": lines}
        if invoice.customer:
            body["card"] = self.cards[invoice.customer]
        return body

    def _sell(self, invoice: Invoice) -> None:
        """Sell what can be sold of an invoice; the till says first which rows cannot."""
        rows, path = list(enumerate(invoice.rows)), "/api/v1/till/orders"
        if any(row.quantity <= 0 or row.price <= 0 for row in invoice.rows):
            bad = self._refused(invoice, invoice.rows)
            rows = [(at, row) for at, row in rows if at not in bad]
        if not rows:
            return
        body = self._asked(invoice, [row for _, row in rows])
        spends = self._spends(invoice.customer)
        if spends:
            body["spend_points"] = spends
        answer = self._book(path, body, invoice.no)
        self._note_sale(invoice, [row for _, row in rows], answer)

    def _spends(self, customer: str) -> int:
        """Return the points that a customer pays with: every third one, from the second visit."""
        if not customer or int(customer) % SPENDING:
            return 0
        if customer not in self._visited:
            self._visited.add(customer)
            return 0
        return balance(self.ctx, "points", self.members[customer]).available

    def _refused(self, invoice: Invoice, rows: list[Row], first: int = 0) -> set[int]:
        """Offer rows that are no sale; note why each is refused and return which."""
        status, answer, _ = self._post(
            "/api/v1/till/orders", self._asked(invoice, rows), invoice.no
        )
        assert (status, answer["code"]) == (422, "invalid"), answer
        bad: dict[int, str] = {}
        for problem in answer["problems"]:
            head, at, name = problem["path"].split(".")
            assert (head, name in ("quantity", "unit_price")) == ("lines", True), problem
            bad.setdefault(int(at), problem["code"])
        for at, code in bad.items():
            self.figures.refused.append((invoice.no, first + at, code, rows[at].amount))
        return set(bad)

    def _note_sale(self, invoice: Invoice, rows: list[Row], answer: Mapping[str, Any]) -> None:
        figures = self.figures
        figures.sales += 1
        figures.sold += Decimal(answer["totals"]["list_amount"])
        figures.due += Decimal(answer["totals"]["amount_due"])
        figures.points_paid += Decimal(answer["totals"]["points_paid"])
        self._check_points(invoice, answer["points"])
        for row, line in zip(rows, answer["lines"], strict=True):
            assert (line["product"], Decimal(line["list_amount"])) == (row.code, row.amount)
            figures.sold_lines += 1
            if invoice.customer and row.code in self._red:
                figures.red.append((invoice.at, card_type_of(invoice.customer), line["rule"]))
            if invoice.customer:
                sold = Sold(answer["id"], line["line"], row.quantity)
                self._left[invoice.customer, row.code].append(sold)

    def _check_points(self, invoice: Invoice, points: Mapping[str, int]) -> None:
        """Compare what a sale earned with the card type and with the store's day."""
        if not invoice.customer:
            assert not any(points.values()), (invoice.no, points)
            return
        today = invoice.at.astimezone(LONDON).date()
        born = self.birthdays.get(invoice.customer)
        is_birthday = born is not None and born == today.replace(year=born.year)
        multiple = 1 if card_type_of(invoice.customer) == "GOLD" else 0
        assert points["E"] == points["A"] * multiple, invoice.no
        assert points["B"] == points["A"] * (2 if is_birthday else 0), invoice.no
        self.figures.multiplied += is_birthday

    def _cancel(self, invoice: Invoice) -> None:
        """Give back each row that the customer bought before; the till refuses the others."""
        for at, row in enumerate(invoice.rows):
            known = self._left[invoice.customer, row.code] if invoice.customer else []
            sold = next((one for one in known if one.left >= -row.quantity), None)
            if sold is None:
                assert self._refused(invoice, [row], at) == {0}
                continue
            path = f"/api/v1/till/orders/{sold.order}/returns"
            lines = [{"line": sold.line, "quantity": str(-row.quantity)}]
            body = {"lines": lines, "at": invoice.at.isoformat()}
            status, shown, _ = self._post(path, {**body, "preview": True}, "")
            assert status == 200, shown
            done = self._book(path, body, f"{invoice.no}-{at + 1}")
            assert {name: done[name] for name in SHOWN} == {name: shown[name] for name in SHOWN}
            sold.left += row.quantity
            self._note_return(row, done)

    def _note_return(self, row: Row, done: Mapping[str, Any]) -> None:
        figures = self.figures
        figures.returns += 1
        figures.returned += row.amount
        figures.refunds += Decimal(done["refund"])
        figures.bought += done["F"]
        figures.clawed.update(done["claw_back"])


def _token(site: Site) -> str:
    actor = site.actor("admin")
    return site.services.tokens.issue(actor.id, actor.stamp)
