"""Everybody who works here, as one value: who holds what where, and who reports to whom.

It is read as a whole once per revision of rights and then asked in memory, so finding the
approvers of a flow costs no statement per person.

**Managers.** Somebody's manager is the one that an administrator set for them; otherwise
whoever leads the place where they work: the holder of a position with `manages: true`,
looked for at their departments and stores and then upwards, a department's parent before
its store, a store's parent. Where several such positions are held at one place, the order
of declaration is from the lowest to the highest, and one reports to the next above. Who
leads a place themself reports to whoever is above that place. Inactive people manage nobody.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from core.records.people import Person
from core.workflow.engine.state import Identity
from core.workflow.staff.deputies import Standing

#: Managers that a chain has at most.
MOST_MANAGERS = 20


@dataclass(frozen=True, slots=True)
class Post:
    """What somebody is at a place; an empty position is working there without one."""

    position: str
    place: str

    @property
    def actor(self) -> str:
        """Return it as candidates name it: `POSITION@PLACE_ID`."""
        return f"{self.position}@{self.place}"

    @property
    def names(self) -> tuple[str, ...]:
        """Return what candidates call its holders: there, wherever it is held, anybody there."""
        anybody = f"@{self.place}"
        return (self.actor, f"{self.position}@", anybody) if self.position else (anybody,)


@dataclass(frozen=True)
class Staff:
    """The people of an installation as of one revision of rights.

    Attributes:
        people: everybody by id, inactive ones too, in the order of their ids.
        roles: role -> ids of the active holders, in the order of `people`.
        places: id -> what they are where, departments before stores.
        above: id of a place -> id of the place above it.
        heads: the positions that manage, from the lowest to the highest.
        assigned: id -> the manager that was set for them.
        standing: who stands in for whom.
    """

    people: Mapping[str, Person] = field(default_factory=dict)
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    places: Mapping[str, tuple[Post, ...]] = field(default_factory=dict)
    above: Mapping[str, str] = field(default_factory=dict)
    heads: tuple[str, ...] = ()
    assigned: Mapping[str, str] = field(default_factory=dict)
    standing: Standing = field(default_factory=dict)

    @cached_property
    def by_login(self) -> Mapping[str, Person]:
        """Return everybody by sign-in name."""
        return {person.login: person for person in self.people.values()}

    @cached_property
    def _holders(self) -> Mapping[str, frozenset[str]]:
        """Return role -> ids of the active holders, to be looked up."""
        return {role: frozenset(ids) for role, ids in self.roles.items()}

    @cached_property
    def _posts(self) -> Mapping[str, tuple[str, ...]]:
        """Return `POSITION@PLACE`, `POSITION@` and `@PLACE` -> ids of the active holders."""
        found: dict[str, dict[str, None]] = {}
        for person in self.people.values():
            if person.is_active:
                for post in self.places.get(person.id, ()):
                    for actor in post.names:
                        found.setdefault(actor, {})[person.id] = None
        return {actor: tuple(ids) for actor, ids in found.items()}

    def is_active(self, person: str) -> bool:
        """Return whether somebody is here and may act."""
        found = self.people.get(person)
        return found is not None and found.is_active

    def name(self, person: str) -> str:
        """Return what people call somebody; the id where they are gone altogether."""
        found = self.people.get(person)
        return found.name if found is not None else person

    def behind(self, identity: Identity) -> tuple[str, ...]:
        """Return the ids of the active people behind an identity, in a fixed order."""
        if identity.kind == "user":
            return (identity.actor,) if self.is_active(identity.actor) else ()
        return (self.roles if identity.kind == "role" else self._posts).get(identity.actor, ())

    def holds_role(self, person: str, role: str) -> bool:
        """Return whether an active person holds a role."""
        return person in self._holders.get(role, ())

    def sits_as(self, person: str, identity: Identity) -> bool:
        """Return whether somebody is among the active people behind an identity."""
        if identity.kind == "user":
            return person == identity.actor and self.is_active(person)
        if identity.kind == "role":
            return self.holds_role(person, identity.actor)
        held = self.places.get(person, ())
        named = {name for post in held for name in post.names}
        return identity.actor in named and self.is_active(person)

    def identities(self, person: str) -> list[Identity]:
        """Return as what an active person sits besides as themself: their roles and posts."""
        roles = [role for role, holders in self._holders.items() if person in holders]
        held = self.places.get(person, ()) if self.is_active(person) else ()
        posts = {name for post in held for name in post.names}
        return [
            *(Identity("role", role) for role in sorted(roles)),
            *(Identity("post", post) for post in sorted(posts)),
        ]

    def workplaces(self, person: str) -> tuple[str, ...]:
        """Return the ids of the places where somebody works, departments first."""
        return tuple(dict.fromkeys(post.place for post in self.places.get(person, ())))

    def works_at(self, person: str, places: frozenset[str]) -> bool:
        """Return whether somebody works at one of the places, in whatever position."""
        return any(post.place in places for post in self.places.get(person, ()))

    def manager(self, person: str) -> str:
        """Return the id of somebody's active manager, or ""."""
        assigned = self.assigned.get(person, "")
        if assigned and assigned != person and self.is_active(assigned):
            return assigned
        return self._head_above(person)

    def managers(self, person: str) -> Iterator[str]:
        """Yield somebody's manager, the manager's manager and so on; ends at a circle."""
        seen = {person}
        while len(seen) <= MOST_MANAGERS:
            person = self.manager(person)
            if not person or person in seen:
                return
            seen.add(person)
            yield person

    def _head_above(self, person: str) -> str:
        held = self.places.get(person, ())
        led = [post.place for post in held if post.position in self.heads]
        level = list(dict.fromkeys(led or (post.place for post in held)))
        seen: set[str] = set()
        while level:
            for place in level:
                found = self._head_at(place, person)
                if found:
                    return found
            seen.update(level)
            upwards = (self.above.get(place, "") for place in level)
            level = [place for place in dict.fromkeys(upwards) if place and place not in seen]
        return ""

    def _head_at(self, place: str, person: str) -> str:
        """Return who leads `person` at a place: the next managing position above theirs."""
        own = {post.position for post in self.places.get(person, ()) if post.place == place}
        rank = max((at for at, name in enumerate(self.heads) if name in own), default=-1)
        for position in self.heads[rank + 1 :]:
            for head in self._posts.get(f"{position}@{place}", ()):
                if head != person:
                    return head
        return ""
