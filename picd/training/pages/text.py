"""English for generated pages: prose, interface labels, names, numbers, dates, files and code.

The vocabulary is the 30,000 most frequent words of ``wordfreq``, sorted into rough parts of
speech by their endings; technical prose comes from Python's own language reference.
"""

from __future__ import annotations

import functools
import json
import pathlib
import re
import sysconfig
from datetime import datetime, timedelta
from importlib import resources
from pydoc_data import topics
from random import Random

import wordfreq
from faker import Faker

ENDINGS = {
    "noun": (
        "tion",
        "ment",
        "ness",
        "ity",
        "ance",
        "ence",
        "ship",
        "ism",
        "age",
        "ure",
        "er",
        "or",
    ),
    "adjective": ("al", "ive", "ous", "ful", "ic", "able", "ible", "less", "ary", "ant", "ent"),
    "adverb": ("ly",),
    "past": ("ed",),
    "gerund": ("ing",),
    "plural": ("s",),
}

SENTENCES = """
The {adjective} {noun} was {past} {adverb} after the {noun} of the {plural} in {place}.
{name} {past} the {noun} on {weekday}, {gerund} that {plural} had become {adjective}.
Although {plural} are {adverb} {adjective}, the {noun} remains {past} by {plural} and {word}.
In {year}, the {company} {noun} reached {number} {plural}, up {percent} from a year earlier.
"We {adverb} {word} the {noun}," said {name}, {job} at {company}.
How does the {adjective} {noun} change when {plural} are {past} before {gerund}?
You can {word} any {noun}, but {adjective} {plural} need a {noun} of their own.
{plural} and {plural} were {past} between {date} and {date}; only {number} were {adjective}.
Most {plural} in {place} are {past}, yet {number} of them still {word} the {noun}.
The {noun} costs {price} per {word}, including {gerund} and {adjective} {plural}.
Nobody {past} why the {noun} of {place} had been {past} without {plural}.
Please {word} the {noun} before {weekday}, otherwise the {plural} will be {past} {adverb}.
A {noun} like this is {adverb} {past}: {word}, {word} and {word} come first.
It took {number} {plural} to {word} the {adjective} {noun}, and the {word} was {past} twice.
See {file} for {plural}, or write to {email} about {gerund} the {noun}.
As {name} explains, {gerund} {plural} is less {adjective} than it sounds.
There are {number} {adjective} {plural} left; the {noun} closes at {time}.
If the {noun} fails, {word} the {plural} and try again within {number} minutes.
For {plural} with a {adjective} {noun}, the {word} is {past} at {percent}.
The old {word} in {place} has {adverb} {past} its {noun}, and {plural} followed.
What {name} {past} in {year} was not a {noun} but a {adjective} {word}.
Our {plural} ship on {date}. Track the {noun} at {url}.
Between {gerund} and {gerund}, {company} found {percent} fewer {plural}.
""".strip().splitlines()

# One string, cut at the bars.
LABELS = """\
Account|Account settings|Actions|Activity|Add a comment|Add member|Add to cart|Advanced|
Advanced options|All files|All messages|Allow notifications|Analytics|Appearance|Apply|
Apply changes|Archive|Assigned to me|Attachments|Audio|Automatic updates|Back|Back up now|
Background|Battery|Billing|Bluetooth|Bookmarks|Browse...|Build|Calendar|Cancel|Categories|
Change password|Check for updates|Choose file|Clear history|Close|Collapse all|Colours|Comments|
Compare|Confirm|Connect|Contacts|Continue|Copy link|Create|Create new project|Customers|
Dark mode|Dashboard|Date modified|Debug|Default application|Delete|Department|Deploy|Description|
Details|Disabled|Discard|Display|Documentation|Don't save|Download|Downloads|Drafts|Duplicate|
Edit|Edit profile|Email|Enable two-factor authentication|Enabled|Environment|Events|Everyone|
Expand all|Explore|Export|Export as CSV|Extensions|FAQ|Favourites|Feedback|File|File name|Files|
Filter|Find|Find in page|First name|Folders|Follow|Forgot password?|Format|Forward|General|
Get started|Go to definition|Groups|Help|Help & support|Hidden files|Hide|History|Home|Images|
Import|Inbox|Insert|Install|Integrations|Invite people|Invoices|Issues|Join|Keyboard|
Keyboard shortcuts|Labels|Language|Language & region|Last name|Last updated|Layout|Learn more|
Leave|Library|License|Light|Loading...|Location|Log in|Log out|Manage|Mark as read|Members|
Messages|Microphone|More|More options|Mouse & touchpad|Move to...|Name|Network|
Network & internet|New|New file|New folder|New message|New tab|Next|Notifications|OK|Open|
Open recent|Options|Orders|Outbox|Overview|Owner|Packages|Page setup...|Password|Paste|Pause|
Payment method|People|Permissions|Phone number|Pictures|Pinned|Pipelines|Plugins|Power|
Preferences|Preview|Previous|Print|Print...|Privacy|Privacy & security|Products|Profile|Projects|
Properties|Proxy server|Publish|Pull requests|Quality|Quit|Read more|Recent|Recover|Redo|Refresh|
Region|Release notes|Reload|Remember me|Remove|Rename|Replace|Reply|Reply all|Report a problem|
Reports|Reset|Resolution|Restart|Restore|Results|Retry|Review|Role|Run|Run tests|Save|Save as...|
Save changes|Schedule|Screen|Search|Search settings|Security|Select all|Send|Sent|Services|
Session|Settings|Share|Shared with me|Shipping address|Show all|Show hidden|Show in folder|
Shut down|Sign in|Sign out|Sign up|Size|Skip|Sort by|Sound|Source|Spam|Starred|Start|Status|Stop|
Storage|Submit|Subscribe|Summary|Support|Sync now|System|Tags|Tasks|Team|Templates|Terminal|
Terms of service|Theme|Time zone|Title|Today|Tools|Total|Transfer|Trash|Try again|Type|Undo|
Uninstall|Unread|Untitled|Update|Updates|Upgrade|Upload|Usage|User name|Users|Verify|Version|
Video|View|View all|View details|Volume|Wallpaper|Webhooks|Welcome back|What's new|Widgets|
Window|Wi-Fi|Work|Workspace|Yesterday|Zip code|Zoom in|Zoom out
""".replace("\n", "").split("|")  # fmt: skip

EXTENSIONS = """py txt md pdf csv json docx xlsx png jpg svg zip tar.gz html css js ts rs go c h cpp
yaml toml ini log sql mp4 wav pptx ipynb sh exe dll so iso deb conf bak xml odt""".split()

MARKUP = re.compile(r"[*\"`]|\\n")
STANDARD_LIBRARY = pathlib.Path(sysconfig.get_paths()["stdlib"])


@functools.cache
def vocabulary() -> dict[str, list[str]]:
    """Words by rough part of speech; ``word`` holds everything, most frequent first."""
    coarse = (
        resources.files("better_profanity").joinpath("profanity_wordlist.txt").read_text("utf-8")
    )
    refused = {part for row in coarse.split("\n") for part in (row, row + "s", row + "es")}
    words = [w for w in wordfreq.top_n_list("en", 30000) if re.fullmatch(r"[a-z]+('[a-z]+)?", w)]
    words = [w for w in words if len(w) > 2 and w not in refused]
    classes = {
        name: [w for w in words if w.endswith(endings) and len(w) > 4 and "'" not in w]
        for name, endings in ENDINGS.items()
    }
    return {"word": words, **classes}


@functools.cache
def reference_sentences() -> tuple[str, ...]:
    """Sentences of Python's language reference (it comes with the interpreter)."""
    text = " ".join(topics.topics[key] for key in sorted(topics.topics))
    paragraphs = re.split(r"\n\s*\n", text)
    prose = " ".join(
        " ".join(p.split()) for p in paragraphs if not re.search(r">>>|::=|([-=~^*])\1\1", p)
    )
    sentences = re.findall(r"(?<=[.:] )[A-Z][^.!?]{30,220}[.?](?= [A-Z])", MARKUP.sub("", prose))
    return tuple(sorted(set(sentences)))


@functools.cache
def source_files(suffix: str) -> tuple[pathlib.Path, ...]:
    """Files of a few kilobytes that come with the interpreter: modules (.py), headers (.h)."""
    root = STANDARD_LIBRARY if suffix == ".py" else pathlib.Path(sysconfig.get_paths()["include"])
    files = sorted(root.glob("*" + suffix)) + sorted(root.glob("[a-z]*/*" + suffix))
    return tuple(p for p in files if 2000 < p.stat().st_size < 80000 and "site-" not in str(p))


@functools.cache
def _faker() -> Faker:
    return Faker("en_US", use_weighting=False)


class Writer:
    """Writes any number of phrases; everything it says is a function of ``rng``."""

    def __init__(self, rng: Random):
        self.rng = rng
        self.fake = _faker()
        self.fake.seed_instance(rng.getrandbits(32))
        self.dialect = rng.choice(("general", "general", "technical", "mixed"))

    def any(self, kind: str = "word") -> str:
        """One word; frequent words come oftener, yet the tail is reached all the time."""
        words = vocabulary()[kind]
        return words[int(len(words) * self.rng.random() ** 1.7)]

    def words(self, low: int, high: int) -> str:
        return " ".join(self.any() for _ in range(self.rng.randint(low, high)))

    def title(self, low: int = 2, high: int = 7) -> str:
        """A headline in sentence case or Title Case."""
        parts = [
            self.any(self.rng.choice(("adjective", "noun", "plural", "gerund", "word")))
            for _ in range(self.rng.randint(low, high))
        ]
        if len(parts) > 3:
            parts[2] = self.rng.choice(("of", "and", "for", "in", "the", "with", "to"))
        text = " ".join(parts)
        return text.title().replace("'S", "'s") if self.rng.random() < 0.4 else text.capitalize()

    def label(self) -> str:
        """An interface label, mostly a common one."""
        if self.rng.random() < 0.75:
            return self.rng.choice(LABELS)
        return f"{self.any('adjective')} {self.any('noun')}".capitalize()

    def sentence(self) -> str:
        technical = {"general": 0.1, "mixed": 0.4, "technical": 0.9}[self.dialect]
        if self.rng.random() < technical:
            return self.rng.choice(reference_sentences())
        text = re.sub(r"\{(\w+)\}", lambda slot: self._fill(slot[1]), self.rng.choice(SENTENCES))
        return text[0].upper() + text[1:]

    def paragraph(self, low: int = 2, high: int = 6) -> str:
        return " ".join(self.sentence() for _ in range(self.rng.randint(low, high)))

    def name(self) -> str:
        return f"{self.fake.first_name()} {self.fake.last_name()}"

    def number(self) -> str:
        rng = self.rng
        value = rng.choice((rng.randint(0, 20), rng.randint(10, 999), rng.randint(1000, 10**6)))
        return rng.choice((f"{value:,}", str(value), f"{value / 100:,.2f}", f"{value / 7:.1f}"))

    def price(self) -> str:
        amount = self.rng.choice((9.99, 19.0, 49.5, 120.0, 999.0)) * self.rng.randint(1, 30)
        return f"{self.rng.choice('$$$€£')}{amount:,.2f}"

    def percent(self) -> str:
        return f"{self.rng.uniform(0, 100):.{self.rng.randint(0, 2)}f}%"

    def date(self) -> str:
        form = self.rng.choice(("%Y-%m-%d", "%d %b %Y", "%b %d, %Y", "%m/%d/%Y", "%d.%m.%Y",
                                "%B %d", "%a %d %b"))  # fmt: skip
        return self.moment().strftime(form)

    def time(self) -> str:
        return self.moment().strftime(self.rng.choice(("%H:%M", "%I:%M %p", "%H:%M:%S")))

    def moment(self) -> datetime:
        return datetime(2015, 1, 1) + timedelta(seconds=self.rng.randrange(12 * 365 * 86400))

    def stem(self) -> str:
        joiner = self.rng.choice(("_", "-", "", "_"))
        parts = [self.any() for _ in range(self.rng.randint(1, 3))]
        if self.rng.random() < 0.15:
            parts.append(str(self.rng.randint(1, 2026)))
        return joiner.join(parts).replace("'", "")

    def file(self) -> str:
        return f"{self.stem()}.{self.rng.choice(EXTENSIONS)}"

    def path(self) -> str:
        homes = (f"/home/{self.fake.user_name()}", f"C:\\Users\\{self.fake.first_name()}")
        root = self.rng.choice((*homes, "/usr/share", "/etc", "~", "./src", "/var/log"))
        joiner = "\\" if "\\" in root else "/"
        return joiner.join(
            [root, *(self.stem() for _ in range(self.rng.randint(0, 2))), self.file()]
        )

    def email(self) -> str:
        return self.fake.email()

    def url(self) -> str:
        domain = self.fake.domain_name()
        return f"https://{domain}/{self.stem()}/{self.stem()}".rstrip("/")

    def size(self) -> str:
        amount = round(self.rng.uniform(1, 999), self.rng.choice((None, 1)))
        return f"{amount} {self.rng.choice(('KB', 'MB', 'GB'))}"

    def identifier(self) -> str:
        parts = [self.any().replace("'", "") for _ in range(self.rng.randint(1, 3))]
        camel = parts[0] + "".join(p.capitalize() for p in parts[1:])
        return self.rng.choice(("_".join(parts), camel))

    def cell(self, kind: str) -> str:
        """A table cell of the given kind, named like the slots of the sentence templates."""
        return self._fill(kind)

    def code(self, lines: int) -> tuple[str, str]:
        """(language, source) of about ``lines`` lines, without trailing spaces or tabs."""
        language = self.rng.choice(("python", "python", "python", "c", "json", "yaml", "javascript",
                                    "sql", "html"))  # fmt: skip
        if language in ("python", "c"):
            files = source_files(".py" if language == "python" else ".h")
            if files:
                source = self.rng.choice(files).read_text("utf-8", "replace").expandtabs(4)
                rows = [row.rstrip()[:150] for row in source.splitlines()]
                start = self.rng.randrange(max(1, len(rows) - lines))
                return language, "\n".join(rows[start : start + lines])
            language = "json"
        make = getattr(self, "_" + language)
        return language, "\n".join("\n".join(make() for _ in range(lines)).splitlines()[:lines])

    def _fill(self, slot: str) -> str:
        fake = self.fake
        special = {
            "place": fake.city,
            "name": self.name,
            "weekday": fake.day_of_week,
            "year": lambda: str(self.rng.randint(1890, 2026)),
            "company": fake.company,
            "job": lambda: fake.job().split(",")[0].lower(),
            "count": lambda: str(self.rng.randint(0, 5000)),
            "label": self.label,
            "phone": lambda: fake.numerify("+1 ###-###-####"),
            "address": lambda: fake.street_address(),
            "country": fake.country,
            "hash": lambda: f"{self.rng.getrandbits(32):08x}",
            "code": lambda: fake.bothify("??-####").upper(),
            "version": lambda: fake.numerify("%.#.%#"),
            "title": lambda: self.title(1, 3),
        }
        if slot in special:
            return special[slot]()
        return getattr(self, slot)() if hasattr(self, slot) else self.any(slot)

    def _json(self) -> str:
        rng = self.rng
        rows = {self.identifier(): rng.choice((self.any(), rng.randint(0, 9999), True, None,
                                               self.url(), [self.any(), self.any()]))
                for _ in range(rng.randint(2, 5))}  # fmt: skip
        return json.dumps({self.identifier(): rows}, indent=rng.choice((2, 4)))

    def _yaml(self) -> str:
        rows = [f"{self.any()}:"]
        rows += [f"  {self.identifier()}: {self.cell(self.rng.choice(('word', 'path', 'number')))}"
                 for _ in range(self.rng.randint(1, 4))]  # fmt: skip
        rows += [f"  - {self.stem()}" for _ in range(self.rng.randint(0, 3))]
        return "\n".join([f"# {self.sentence()}"] * (self.rng.random() < 0.3) + rows)

    def _javascript(self) -> str:
        a, b, c, d = (self.identifier() for _ in range(4))
        return self.rng.choice((
            f"// {self.sentence()}",
            f"import {{ {a}, {b} }} from '{self.any()}/{self.any()}';",
            f"const {a} = await {b}.{c}('{self.any()}', {{ {d}: {self.rng.randint(0, 99)} }});",
            f"export function {a}({b}, {c}) {{\n  if (!{b}) return null;\n"
            f"  return {b}.map(({d}) => {d}.{c} * {self.rng.randint(2, 64)});\n}}\n",
            f"for (const {a} of {b}) {{\n  console.log(`${{{a}}} {self.words(2, 4)}`);\n}}",
            f"let {a} = document.querySelector('#{b}') ?? {c}[{self.rng.randint(0, 9)}];",
        ))  # fmt: skip

    def _sql(self) -> str:
        a, b, c, d = (self.identifier() for _ in range(4))
        return self.rng.choice((
            f"SELECT {a}, {b}, COUNT(*) AS {c}\nFROM {d}\nWHERE {a} > {self.rng.randint(1, 999)}\n"
            f"GROUP BY {b} ORDER BY {c} DESC;",
            f"INSERT INTO {a} ({b}, {c}) VALUES ('{self.any()}', {self.rng.randint(1, 9999)});",
            f"-- {self.sentence()}",
            f"UPDATE {a} SET {b} = '{self.words(1, 3)}' WHERE {c} IS NOT NULL;",
        ))  # fmt: skip

    def _html(self) -> str:
        a, b = self.any(), self.any()
        return self.rng.choice((
            f'<div class="{a}-{b}">\n  <p>{self.sentence()}</p>\n</div>',
            f'<a href="{self.url()}" title="{self.words(1, 3)}">{self.label()}</a>',
            f"<!-- {self.words(2, 6)} -->",
            f'<input type="text" name="{self.identifier()}" value="{self.any()}">',
        ))  # fmt: skip
