"""A second reading of docs/release.md, apart from the product: slow, literal, without shared code.

It keeps a scenario's events as they are written and works every answer out by walking over them
again. Nothing here imports the hub; the matrix comes in as a document.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

Event = dict[str, Any]

REFERRAL_TYPES = ("ReferralMade", "ReferralAccepted", "ReferralDeclined", "ReferralEnded")
TRANSFER_TYPES = ("TransferOffered", "TransferAnswered")
FAR = datetime(2100, 1, 1, tzinfo=UTC)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def birthday18(born: date) -> date:
    if (born.month, born.day) == (2, 29):
        return date(born.year + 18, 3, 1)
    return date(born.year + 18, born.month, born.day)


class Oracle:
    """Plays one scenario; `answers` holds what is expected of each event, by id."""

    def __init__(
        self, scenario: dict[str, Any], profile: dict[str, Any], groups: dict[str, str]
    ) -> None:
        self.roles: dict[str, str] = scenario["agencies"]
        self.profile = profile
        self.groups = groups
        self.logs: dict[str, list[Event]] = {}
        self.held: dict[str, dict[tuple[str, str, str], str]] = {}  # (agency, event, category)
        self.windows: dict[str, dict[tuple[str, str, str], str]] = {}
        self.ever: dict[str, dict[str, dict[str, set[str]]]] = {}
        self.erased: dict[str, int] = {}
        self.answers: dict[str, dict[str, Any]] = {}
        for event in scenario["events"]:
            self.answers[event["id"]] = self.take(event)

    def final_holdings(self) -> dict[str, Any]:
        return {
            case: {
                agency: {category: sorted(bases) for category, bases in categories.items()}
                for agency, categories in agencies.items()
            }
            for case, agencies in self.ever.items()
            if agencies
        }

    # -- walking over the log ----------------------------------------------------------------
    # `ended` says whether the endings of the last event in the log have acted (3.2).

    def referrals(
        self, log: list[Event], ended: bool, about: str | None = None
    ) -> dict[tuple[str, str], dict[str, Any]]:
        """2.3, with 2.4's ending of pending referrals. about: as a message of this id meant them;
        an id may be used again after a decline or an end."""
        found: dict[tuple[str, str], dict[str, Any]] = {}
        meant: dict[tuple[str, str], dict[str, Any]] = {}
        every: list[dict[str, Any]] = []
        for index, event in enumerate(log):
            data, kind = event["data"], event["type"]
            acted = ended or index < len(log) - 1
            if kind in ("ReferralMade", "TransferOffered"):
                name = "referral" if kind == "ReferralMade" else "transfer"
                new = found[name, data[f"{name}_id"]] = {
                    "sender": event["agency"],
                    "to": data["to_agency"],
                    "state": "pending",
                    "made": event["id"],
                    "at": index,
                    "kind": name,
                }
                every.append(new)
            if kind in ("ReferralAccepted", "ReferralDeclined", "ReferralEnded"):
                one = found.get(("referral", data["referral_id"]))
            elif kind == "TransferAnswered":
                one = found.get(("transfer", data["transfer_id"]))
            else:
                one = None
            if one is not None:
                answers = one["state"] == "pending" and one["to"] == event["agency"]
                if kind == "ReferralAccepted" and answers:
                    one["state"] = "accepted"
                if kind == "TransferAnswered" and answers and data["outcome"] == "accepted":
                    one["state"] = "accepted"
                declines = kind == "ReferralDeclined" or (
                    kind == "TransferAnswered" and data["outcome"] == "declined"
                )
                if declines and answers and acted:
                    one["state"] = "declined"
                may_end = event["agency"] in (one["sender"], one["to"], "HUB")
                if (
                    kind == "ReferralEnded"
                    and acted
                    and may_end
                    and one["state"] in ("pending", "accepted")
                ):
                    one["state"] = "ended"
            if acted and self.leaves(log[: index + 1]):
                for one in every:
                    if self.roles[one["to"]] == "competent_authority":
                        if one["state"] == "pending":
                            one["state"] = "ended"
                        one["lost"] = True
            if event["id"] == about:
                meant = dict(found)
        return found if about is None else meant

    def leaves(self, log: list[Event]) -> bool:
        """Whether the last event of the log is an adult's leaving (2.4)."""
        event = log[-1]
        return (
            event["type"] == "ConsentWithdrawn"
            and event["data"].get("leave_nrm") is True
            and not self.child(log, moment(event["t"]), None)
        )

    def involved(self, log: list[Event], ended: bool) -> set[str]:
        """2.1, 2.4, 2.5."""
        grounds: set[str] = set()
        opener = next((e["agency"] for e in log if e["type"] == "CaseOpened"), None)
        left: dict[str, int] = {}
        for index, event in enumerate(log):
            if (ended or index < len(log) - 1) and self.leaves(log[: index + 1]):
                for agency in self.involved(log[: index + 1], False):
                    if self.roles[agency] == "competent_authority":
                        left[agency] = index
            if event["type"] == "ReferralAccepted" and event["agency"] in left:
                one = self.referrals(log[: index + 1], False).get(
                    ("referral", event["data"]["referral_id"])
                )
                if (
                    one is not None
                    and one["state"] == "accepted"
                    and one["at"] > left[event["agency"]]
                    and one["to"] == event["agency"]
                ):
                    del left[event["agency"]]

        def gone(agency: str, since: int) -> bool:
            """Left and not restored; or the ground is older than some leaving."""
            older = self.roles.get(agency) == "competent_authority" and any(
                self.leaves(log[: index + 1])
                for index in range(since, len(log))
                if ended or index < len(log) - 1
            )
            return agency in left or older

        if opener is not None and not gone(opener, 0):
            grounds.add(opener)
        for one in self.referrals(log, ended).values():
            if one["state"] == "accepted" and not one.get("lost") and one["to"] not in left:
                grounds.add(one["to"])
        appointed = [
            (index, e["data"]["guardian_agency"])
            for index, e in enumerate(log)
            if e["type"] == "GuardianAppointed"
        ]
        if appointed:
            if not gone(appointed[-1][1], appointed[-1][0]):
                grounds.add(appointed[-1][1])
            fresh = appointed[-1][0] == len(log) - 1 and not ended
            if fresh and len(appointed) > 1 and not gone(appointed[-2][1], appointed[-2][0]):
                grounds.add(appointed[-2][1])
        for event in log:
            if event["type"] == "ProceedingLinked" and self.roles[event["agency"]] in (
                "police",
                "prosecutor",
                "labour_inspectorate",
            ):
                grounds.add(event["agency"])
        return grounds

    # -- age ---------------------------------------------------------------------------------

    def child(self, log: list[Event], now: datetime, role: str | None) -> bool:
        """2.6 and 2.6a; role None: in procedure."""
        status, assessed, appeal, narrow = "unknown", False, None, False
        assessed_dob: date | None = None
        stated_dob: date | None = None
        opened = False

        def of_age(on: date) -> bool:
            born = assessed_dob or stated_dob
            return born is not None and on >= birthday18(born)

        for event in log:
            data, kind, on = event["data"], event["type"], moment(event["t"]).date()
            if kind == "CaseOpened" and not opened:
                status, opened = data["age_status"], True
            if kind == "AgeDisputed":
                recorded_grown = status == "adult" or (status == "child" and of_age(on))
                enforcement = self.roles[event["agency"]] in self.profile["enforcement_roles"]
                if enforcement and recorded_grown:
                    narrow = True
                else:
                    status, narrow = "age_disputed", False
            if kind == "AgeAssessed":
                status = data["outcome"] if data["outcome"] != "inconclusive" else "age_disputed"
                assessed, narrow = True, False
                until = data.get("appeal_open_until")
                appeal = date.fromisoformat(until) if until else None
                if data.get("assessed_dob"):
                    assessed_dob = date.fromisoformat(data["assessed_dob"])
            stated = None
            if kind == "IdentityRecorded":
                stated = data.get("date_of_birth")
            if kind == "RecordCorrected" and data["field"] == "date_of_birth":
                stated = data.get("new_value")
            if stated and on < birthday18(date.fromisoformat(stated)):
                stated_dob = date.fromisoformat(stated)
                if status == "adult" and not assessed:
                    status, narrow = "age_disputed", False
                elif status == "child" and assessed_dob is None:
                    narrow = False
        today = now.date()
        if status in ("unknown", "age_disputed"):
            return True
        if status == "child" and not of_age(today):
            return True
        if status == "adult" and assessed and appeal is not None and today <= appeal:
            return True
        return narrow and (role is None or role in self.profile["enforcement_dispute_serves"])

    # -- consent -----------------------------------------------------------------------------

    def consents(self, log: list[Event]) -> list[dict[str, Any]]:
        """2.7: every record that was given, oldest first."""
        records: dict[str, dict[str, Any]] = {}
        for index, event in enumerate(log):
            data = event["data"]
            record = records.get(data.get("consent_id", ""))
            if event["type"] == "ConsentGiven":
                if record is None:
                    record = records[data["consent_id"]] = {"id": data["consent_id"], "ever": set()}
                pairs = {(a, c) for a, names in data["scope"].items() for c in names}
                record["pairs"] = dict.fromkeys(pairs, index)
                record["ever"] |= pairs
                record["until"] = date.fromisoformat(data["valid_until"])
                record["history"] = data["covers_history"]
                record["expired"] = False
            elif record is None:
                continue
            elif event["type"] == "ConsentAmended":
                pairs = {(a, c) for a, names in data["scope"].items() for c in names}
                record["pairs"] = {pair: record["pairs"].get(pair, index) for pair in pairs}
                record["ever"] |= pairs
                record["until"] = date.fromisoformat(data["valid_until"])
            elif event["type"] == "ConsentWithdrawn":
                extent = data["extent"]
                record["pairs"] = {
                    (a, c): at
                    for (a, c), at in record["pairs"].items()
                    if not (
                        extent == "all"
                        or (extent == "recipients" and a in (data.get("recipients") or []))
                        or (extent == "categories" and c in (data.get("categories") or []))
                    )
                }
            elif event["type"] == "ConsentExpired":
                record["expired"] = True
        return list(records.values())

    @staticmethod
    def active(record: dict[str, Any], now: datetime) -> bool:
        return not record["expired"] and now.date() <= record["until"]

    def why(self, log: list[Event], agency: str, category: str | None, now: datetime) -> str:
        """2.9."""
        for record in reversed(self.consents(log)):
            if not any(a == agency and category in (None, c) for a, c in record["ever"]):
                continue
            if not any(a == agency and category in (None, c) for a, c in record["pairs"]):
                return "withdrawn"
            return "no_consent" if self.active(record, now) else "expired"
        return "no_consent"

    # -- windows -----------------------------------------------------------------------------

    def window(self, log: list[Event], agency: str, category: str, now: datetime) -> str | None:
        """2.10, 6.5: the earliest open window's invocation."""
        if category not in self.profile["break_glass"].get(self.roles[agency], []):
            return None
        shut = {
            e["data"]["invocation_event_id"]
            for e in log
            if e["type"] == "BreakGlassReviewed" and e["data"]["outcome"] == "not_justified"
        }
        for event in log:
            if event["type"] != "BreakGlassInvoked" or event["agency"] != agency:
                continue
            if category not in event["data"]["requested_categories"] or event["id"] in shut:
                continue
            start = moment(event["t"])
            end = min(start + timedelta(hours=24), moment(event["data"]["expires_at"]))
            if start <= now < end:
                return str(event["id"])
        return None

    # -- 4 -----------------------------------------------------------------------------------

    def concerned(self, log: list[Event], event: Event, agency: str, ended: bool) -> bool:
        if agency in self.involved(log, ended):
            return True
        one = self.about(log, event, ended)
        return one is not None and one["state"] == "pending" and one["to"] == agency

    def about(self, log: list[Event], event: Event, ended: bool) -> dict[str, Any] | None:
        if event["type"] not in REFERRAL_TYPES + TRANSFER_TYPES:
            return None
        name = "referral" if event["type"] in REFERRAL_TYPES else "transfer"
        known = self.referrals(log, ended, about=event["id"])
        return known.get((name, event["data"][f"{name}_id"]))

    def decide(
        self,
        log: list[Event],
        event: Event,
        agency: str,
        category: str,
        now: datetime,
        *,
        first: bool,
        ended: bool,
        windows: bool = True,
    ) -> tuple[str, str, str | None]:
        """("release", basis, window) or ("withhold", reason, None)."""
        role, kind, data = self.roles[agency], event["type"], event["data"]
        mode = self.profile["matrix"].get(role, {}).get(category, "N")
        child = self.child(log, now, role)
        claims = [e for e in log if e["type"] == "AsylumClaimRecorded"]
        asylum = bool(claims) and claims[-1]["data"]["status"] == "open"

        def no(reason: str) -> tuple[str, str, str | None]:
            return "withhold", reason, None

        def yes(basis: str, window: str | None = None) -> tuple[str, str, str | None]:
            return "release", basis, window

        # 1
        if role == "embassy" and (asylum or kind == "AsylumClaimRecorded"):
            return no("asylum_embassy")
        # 2
        opened = self.window(log, agency, category, now) if windows else None
        if opened is not None:
            return yes("vital_interests", opened)
        # 3
        if kind == "DutyNotificationSubmitted":
            if role in ("competent_authority", "police"):
                return yes("legal_obligation")
            return no("not_involved")
        # 4
        if mode == "N":
            return no("never_rule")
        # 5
        if mode == "A" and category != "deidentified_account":
            return yes("statutory_minimum")
        if mode == "A":
            mode = "C"
        # 6
        if not self.concerned(log, event, agency, ended):
            return no("not_involved")
        # 7
        referral = self.about(log, event, ended)
        if kind in REFERRAL_TYPES + TRANSFER_TYPES:
            guardians = [e for e in log if e["type"] == "GuardianAppointed"]
            current = guardians[-1]["data"]["guardian_agency"] if guardians else None
            party = referral is not None and agency in (referral["sender"], referral["to"])
            if not (party or role in ("legal_rep", "guardian") or agency == current):
                return no("not_party")
        # 8
        consents = self.consents(log)
        just_before = self.consents(log[:-1])
        if self.groups[kind] == "consent":
            mine = [r for r in consents if r["id"] == data["consent_id"]]
            if first:
                mine += [r for r in just_before if r["id"] == data["consent_id"]]
            if not any(a == agency for record in mine for a, _ in record["pairs"]):
                return no("not_party")
        # 9
        if kind == "CaseLinkDecided" and category == "consent":
            return self.decide(
                log, event, agency, "linkage", now, first=first, ended=ended, windows=windows
            )
        if kind == "CaseLinkDecided" and not data["agreed_by_person"]:
            return no(self.why(log, agency, "linkage", now))
        # 10
        if (
            category == "case_management"
            and kind not in REFERRAL_TYPES + TRANSFER_TYPES
            and self.groups[kind] not in self.profile["event_group_gate"].get(role, [])
        ):
            missing = kind == "AccommodationEnded" and data["reason"] == "missing"
            if missing and child and role == "police" and agency in self.involved(log, ended):
                return yes("safeguarding")
            return no("not_relevant")
        # 11
        if kind == "FeedbackRecorded" and data["about_agency"] == agency:
            mode = "C"
        if kind == "ComplaintResolved":
            for earlier in log[: log.index(event)]:
                if (
                    earlier["type"] == "FeedbackRecorded"
                    and earlier["data"]["kind"] != "feedback"
                    and earlier["data"]["about_agency"] == agency
                ):
                    mode = "C"
        # 12
        opener = next((e["agency"] for e in log if e["type"] == "CaseOpened"), None)
        if (
            mode == "D"
            and role in self.profile["private_bodies"]
            and not child
            and agency != opener
        ):
            records = list(consents)
            if first and self.groups[kind] == "consent":
                records += just_before
            named = any(
                self.active(record, now) and any(a == agency for a, _ in record["pairs"])
                for record in records
            )
            if not named:
                return no(self.why(log, agency, None, now))
        # 13
        if mode == "D":
            return yes("public_task")
        # 14
        if mode in ("K", "X") and child:
            return yes("safeguarding")
        if mode == "X":
            return no("age_rule")
        # 15
        at = log.index(event)
        for record in consents:
            granted = record["pairs"].get((agency, category))
            if granted is None or not self.active(record, now):
                continue
            if record["history"] or at >= granted:
                return yes(f"consent:{record['id']}")
        return no(self.why(log, agency, category, now))

    # -- 3, 5, 6 -----------------------------------------------------------------------------

    def take(self, event: Event) -> dict[str, Any]:
        case = event["case"]
        log = self.logs.setdefault(case, [])
        log.append(event)
        held = self.held.setdefault(case, {})
        now = moment(event["t"])
        releases: dict[str, Any] = {}
        withheld: dict[str, Any] = {}
        gained: dict[tuple[str, str, str], tuple[str, str | None]] = {}
        for agency, role in self.roles.items():
            if agency == event["agency"] or role == "hub":
                continue
            for category in event["categories"]:
                verdict, why, window = self.decide(
                    log, event, agency, category, now, first=True, ended=False
                )
                if verdict == "release":
                    gained[agency, event["id"], category] = (why, window)
                    entry = releases.setdefault(agency, {"categories": set(), "basis": set()})
                    entry["categories"].add(category)
                    entry["basis"].add(why)
                elif why != "not_involved" and self.concerned(log, event, agency, False):
                    withheld.setdefault(agency, {})[category] = why
        recalls = self.recall(log, event, now, gained)
        for key, (basis, window) in gained.items():
            self.gain(case, key, basis, window)
        backfill = self.backfill(log, event, now)
        return {
            "releases": {
                agency: {"categories": sorted(e["categories"]), "basis": sorted(e["basis"])}
                for agency, e in releases.items()
            },
            "withheld": withheld,
            "backfill": backfill,
            "recalls": recalls,
            "held": dict(held),
        }

    def gain(self, case: str, key: tuple[str, str, str], basis: str, window: str | None) -> None:
        self.held[case][key] = basis
        if window is not None:
            self.windows.setdefault(case, {})[key] = window
        agency, _, category = key
        ever = self.ever.setdefault(case, {}).setdefault(agency, {})
        ever.setdefault(category, set()).add(basis)

    def recall(
        self,
        log: list[Event],
        event: Event,
        now: datetime,
        gained: dict[tuple[str, str, str], tuple[str, str | None]],
    ) -> list[dict[str, Any]]:
        case, kind, data = event["case"], event["type"], event["data"]
        held = self.held[case]
        hit: set[tuple[str, str, str]] = set()
        action = "delete"
        if kind in ("ConsentWithdrawn", "ConsentAmended"):  # 6.1
            action = "delete_or_restrict"
            types = {e["id"]: e["type"] for e in log}
            pairs = {
                pair
                for record in self.consents(log)
                if record["id"] == data["consent_id"]
                for pair in record["pairs"]
            }
            for key, basis in held.items():
                agency, about, category = key
                if types[about] == "CaseLinkDecided":
                    category = "linkage"
                if basis == f"consent:{data['consent_id']}" and (agency, category) not in pairs:
                    hit.add(key)
        one = self.about(log, event, False)
        if one is not None and one["state"] == "pending":  # 6.2
            declined = event["agency"] == one["to"] and (
                kind == "ReferralDeclined"
                or (kind == "TransferAnswered" and data["outcome"] == "declined")
            )
            ended = kind == "ReferralEnded" and event["agency"] in (
                one["sender"],
                one["to"],
                "HUB",
            )
            if declined or ended:
                hit = {k for k in held if k[0] == one["to"] and k[1] == one["made"]}
        if kind == "RecordCorrected":  # 6.3
            action = "delete_or_restrict"
            others = [c for c in event["categories"] if c != "case_management"]
            category = others[0] if others else "case_management"
            involved = self.involved(log, False)
            hit = {
                k
                for k in held
                if k[1:] == (data["corrects_event"], category)
                and k[0] not in involved
                and (k[0], event["id"], category) not in gained
            }
        if kind == "SubjectRequestDecided" and data["action"] == "key_destroyed":  # 6.4
            hit = set(held)
            self.erased[case] = len(log) - 1
        if kind == "BreakGlassReviewed" and data["outcome"] == "not_justified":  # 6.5
            by_id = {e["id"]: e for e in log}
            for key, window in self.windows.get(case, {}).items():
                if window != data["invocation_event_id"] or held.get(key) != "vital_interests":
                    continue
                verdict, why, _ = self.decide(
                    log, by_id[key[1]], key[0], key[2], now,
                    first=False, ended=False, windows=False,
                )  # fmt: skip
                if verdict == "release":
                    held[key] = why
                else:
                    hit.add(key)
        recalled: dict[str, set[str]] = {}
        for key in hit:
            del held[key]
            self.windows.get(case, {}).pop(key, None)
            recalled.setdefault(key[0], set()).add(key[2])
        return [
            {"to": agency, "categories": sorted(recalled[agency]), "action": action}
            for agency in sorted(recalled)
        ]

    def backfill(self, log: list[Event], event: Event, now: datetime) -> list[dict[str, Any]]:
        case, kind, data = event["case"], event["type"], event["data"]
        to: set[str] = set()
        if kind == "ReferralAccepted" or (
            kind == "TransferAnswered" and data["outcome"] == "accepted"
        ):
            one = self.about(log, event, True)
            if one is not None and one["state"] == "accepted" and one["to"] == event["agency"]:
                to = {event["agency"]}
        elif kind == "GuardianAppointed":
            to = {data["guardian_agency"]}
        elif kind == "BreakGlassInvoked":
            to = {event["agency"]}
        elif kind in ("ConsentGiven", "ConsentAmended"):
            to = {agency for agency, names in data["scope"].items() if names}
        found = []
        for agency in sorted(to & set(self.roles)):
            if self.roles[agency] == "hub":
                continue
            events: dict[str, list[str]] = {}
            for earlier in log[self.erased.get(case, 0) : -1]:
                if earlier["agency"] == agency:
                    continue
                for category in earlier["categories"]:
                    key = (agency, earlier["id"], category)
                    if key in self.held[case]:
                        continue
                    verdict, why, window = self.decide(
                        log, earlier, agency, category, now, first=False, ended=True
                    )
                    if verdict == "release":
                        self.gain(case, key, why, window)
                        events.setdefault(earlier["id"], []).append(category)
            if events:
                found.append(
                    {"to": agency, "events": {e: sorted(names) for e, names in events.items()}}
                )
        return found
