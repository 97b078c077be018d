"""The vocabulary of the tasks: open-ended words twice, for training and for held-out cases, the rest once.

Every field of words of `TRAIN` is disjoint from the same field of `HELD_OUT`, so a name, a city, a product or
a frame met in a held-out case was never met in training. What a word means cannot be guessed by a model that never
met it, so tickets and opinions are `SHARED`: there the combination is new (see `tasks.py`). In a phrase, `[a|b]`
stands for one of its alternatives and `{field}` for a word of that field.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Words:
    """All that a task may take its words from, on one side of the split."""

    names: tuple[str, ...]
    surnames: tuple[str, ...]
    cities: tuple[str, ...]
    domains: tuple[str, ...]
    products: tuple[str, ...]
    services: tuple[str, ...]
    openings: tuple[str, ...]
    closings: tuple[str, ...]
    date_frames: tuple[str, ...]
    amount_frames: tuple[str, ...]
    phone_frames: tuple[str, ...]
    contact_frames: tuple[str, ...]
    order_frames: tuple[str, ...]
    fillers: tuple[str, ...] = ()
    made_up: dict[str, float] = field(default_factory=dict)
    """The share of a field's words, or of all frames, that is made up instead; never a word of `HELD_OUT`."""


@dataclass(frozen=True, kw_only=True)
class Phrases:
    """What both sides of the split combine, each in combinations that the other never meets."""

    positive: tuple[str, ...]
    negative: tuple[str, ...]
    neutral: tuple[str, ...]
    opinion_frames: tuple[str, ...]
    negated_frames: tuple[str, ...]
    tickets: dict[str, tuple[str, ...]]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _list(text: str) -> tuple[str, ...]:
    return tuple(" ".join(text.split()).split(", "))


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.strip().splitlines())


TRAIN = Words(
    fillers=_words(
        "the our for from with into upon since until before after says said told wrote asked paid signed sent wants "
        "needs please note date total number sum name mail call office order item list who when which have has been "
        "was were will would lives based moved due born ends starts again today soon here there all is are at on by"
    ),
    made_up={
        "names": 0.5,
        "surnames": 0.5,
        "cities": 0.5,
        "domains": 0.5,
        "products": 0.5,
        "services": 0.3,
        "frames": 0.4,
    },
    names=_words(
        "Alice Bob Carla David Erin Farid Grace Hugo Ingrid Jonas Kira Liam Mona Nils Olga Pedro Quinn Rosa "
        "Sven Tara Umar Vera Wim Yara Zoe Ahmed Bianca Cedric Dina Emil Fatima Goran Hanna Ivan Julia Kenji "
        "Lucia Marco Nadia Oscar Paula Rafael Sofia Tomas Ursula Victor Wanda Xavier Yusuf Zlata Amir Berta "
        "Carlos Doris Elena Frank Gina Henrik Irene Jamal Karin Luis Maria Nora Otto Petra Ruth Stefan Thea "
        "Uwe Viola Walter Ximena Yvonne Zeno Anders Björn Chloé Dörte Élise Françoise Günter Héctor José Søren"
    ),
    surnames=_words(
        "Smith Jones Brown Miller Davis Garcia Lopez Schmidt Weber Fischer Wagner Becker Rossi Russo Bianchi "
        "Novak Kowalski Nowak Horvat Popov Ivanov Petrov Tanaka Sato Suzuki Chen Wang Zhang Kim Park Choi Singh "
        "Patel Kumar Khan Ali Hassan Silva Santos Costa Pereira Martin Bernard Dubois Laurent Janssen Visser "
        "Nielsen Hansen Larsen Berg Dahl Virtanen Korhonen Murphy Kelly Evans Clark Hall Young King Wright"
    ),
    cities=_words(
        "Paris Berlin Lima Oslo Quito Rome Delhi Tokyo Cairo Dublin Madrid Seoul Accra Boston Prague Vienna "
        "Athens Bogota Chicago Denver Essen Florence Geneva Hamburg Istanbul Jakarta Kyoto Lagos Munich Nairobi "
        "Ottawa Porto Riga Sydney Turin Utrecht Valencia Warsaw York Zagreb Bergen Cologne Leeds Perth"
    ),
    domains=_words("mail.com acme.com web.de post.net inbox.org shop.io firma.de box.fr nova.eu work.net kiosk.com"),
    products=_words(
        "lamp mug chair table pen book shirt phone cable mouse keyboard screen bag bottle towel plate spoon fork "
        "knife pillow blanket mirror clock candle basket bucket hammer drill ladder rope helmet jacket sock hat "
        "belt ring scarf glove boot tent stove kettle pan pot radio camera printer stapler folder envelope marker"
    ),
    services=_words(
        "service app battery screen delivery support keyboard update manual camera website hotel room food staff "
        "price checkout interface speaker driver course"
    ),
    openings=_lines(
        """Hi,
        Hello, {name} here.
        Hello team,
        Dear support,
        Hey!
        Good morning,
        Quick question:
        Urgent:
        This is {name} from {city}.
        Hi there, I am {name} and"""
    ),
    closings=_lines(
        """, please help
        . Thanks, {name}
        . Can you fix that?
        , as I wrote on Monday
        . Order {number}
        , what now?
        , since Friday
        . Regards
        . I use your {product} page
        !!"""
    ),
    date_frames=_lines(
        """{date}
        {date}
        Invoice due {date}
        Born on {date}.
        The meeting is on {date}
        Expires {date}!
        {name} arrived {date}
        Last login: {date}
        Please reply before {date}."""
    ),
    amount_frames=_lines(
        """{amount}
        {amount}
        Total: {amount}
        The {product} costs {amount}.
        Paid {amount} to {name}
        Price {amount}!
        We owe {amount}"""
    ),
    phone_frames=_lines(
        """{country}: {phone}
        {phone} ({country})
        {country}, tel. {phone}
        Call {phone} in {country}
        {name}, {country}, {phone}"""
    ),
    contact_frames=_lines(
        """{name} {surname}, {age}, {city}, {email}
        {name} {surname} from {city} is {age}. Mail: {email}
        {name} {surname} ({email}), aged {age}, lives in {city}.
        {name} {surname} ({age}), {city}. Write to {email}
        {name} {surname}; {city}; {age} years; {email}
        {name} {surname}, {email}, {age}, moved to {city}.
        {name} {surname}, born in {city}, turned {age} today. {email}
        {name} {surname} has the mail {email}, is {age} and works in {city}."""
    ),
    order_frames=_lines(
        """{name} orders {items}.
        {name} here, please send {items}.
        {name}: {items}
        {name} [wants|needs|buys|takes] {items}.
        {name} would like {items}, please.
        {name} [said|wrote]: send me {items}"""
    ),
)

HELD_OUT = Words(
    names=_words(
        "Aisha Bruno Clara Dmitri Esther Felix Gwen Hassan Ines Joao Katja Leon Mila Nikolai Olivia Pablo Rania "
        "Simon Tessa Ulrich Valeria Wolfgang Yasmin Zora Andrea Boris Camila Diego Eva Fiona Gabriel Helga Igor "
        "Jasper Klara Lorenzo Miriam Noel Zoltán Anaïs"
    ),
    surnames=_words(
        "Taylor Wilson Moore Hoffmann Krause Ferrari Marino Dvorak Wojcik Sokolov Yamada Liu Huang Jung Gupta "
        "Sharma Rahman Oliveira Ribeiro Moreau Fournier Bakker Olsen Lindqvist Laine Byrne Hughes Scott Adams Baker"
    ),
    cities=_words(
        "London Milan Havana Stockholm Lisbon Kiev Mumbai Osaka Tunis Galway Seville Busan Dakar Austin Brno Graz "
        "Naples Dallas Zurich Bremen Bristol Tampere"
    ),
    domains=_words("globex.com planet.org brief.de vista.fr umbra.io"),
    products=_words(
        "sofa desk pencil notebook jumper charger laptop monitor backpack flask napkin bowl vase rug curtain "
        "shovel saw wrench trolley visor cap brush skirt sandal lantern grill toaster teapot scanner binder"
    ),
    services=_words("terminal waiter kitchen headset browser laptop webinar parking invoice trip shop plugin"),
    openings=_lines(
        """Good evening,
        Hi folks,
        To whom it may concern:
        {name} writing.
        Sorry to bother you,
        Help!
        As a customer in {city},"""
    ),
    closings=_lines(
        """. Cheers, {name}
        , kindly assist
        . Ref {number}
        , any ideas?
        , since last week
        . Please reply soon"""
    ),
    date_frames=_lines(
        """Deadline: {date}
        She signed it on {date}.
        Delivered {date}
        Valid until {date}, says {name}"""
    ),
    amount_frames=_lines(
        """Sum {amount}
        {name} paid {amount}.
        A {product} for {amount}
        Balance: {amount}"""
    ),
    phone_frames=_lines(
        """Phone ({country}): {phone}
        reach {name} in {country} at {phone}
        {country} office {phone}"""
    ),
    contact_frames=_lines(
        """{name} {surname} ({city}, {age}) - {email}
        {name} {surname}, age {age}, based in {city}: {email}
        {name} {surname} of {city}, who is {age}, uses {email}."""
    ),
    order_frames=_lines(
        """{name} asked for {items}.
        {name} is ordering {items}.
        {name}, once more: {items}"""
    ),
)

SHARED = Phrases(
    positive=_list(
        """great, excellent, lovely, superb, fast, reliable, helpful, perfect, delightful, friendly,
        impressive, satisfying, pleasant, amazing, enjoyable, beautiful, wonderful, brilliant,
        fantastic, a joy, worth it, very good, flawless, exciting, a success, admirable, charming,
        comfortable, easy, top, satisfactory, so helpful, quite excellent, more than great"""
    ),
    negative=_list(
        """awful, terrible, slow, broken, useless, rude, late, buggy, painful, disappointing, annoying,
        frustrating, horrible, poor, confusing, unreliable, a waste, very bad, the worst, faulty,
        worrying, a failure, dreadful, shabby, uncomfortable, hard to use, unpleasant, a mess, boring,
        ugly, horribly slow, poorly made, quite useless, dull"""
    ),
    neutral=_lines(
        """The {service} opens at [8|9|ten].
        My {service} is [grey|blue|black].
        I [got|bought] the {service} on [Monday|Friday].
        The {service} has [two|three|four] parts.
        The {service} is on the [left|right|table].
        There is one {service} in [{city}|the box].
        We have had this {service} since [May|June|July].
        The {service} weighs [two|five|six] kilos.
        This {service} [is|was] made in {city}."""
    ),
    opinion_frames=_lines(
        """The {service} is {opinion}.
        I [found|find] the {service} {opinion}.
        [Today|Again] the {service} was {opinion}!
        Our {service}: {opinion}.
        {service} {opinion}, as my [friend|boss] said
        They said {contrary}, but the {service} is {opinion}.
        I expected it to be {contrary}. It was {opinion}.
        Not {contrary} at all, the {service} is {opinion}.
        To be honest, the {service} was {opinion}.
        What a {service}: {opinion}!
        {name} says: {opinion}.
        The {service} looked {contrary} at first, but it is {opinion}."""
    ),
    negated_frames=_lines(
        """The {service} is not {contrary}.
        The {service} was never {contrary}.
        I would not call the {service} {contrary}.
        Nobody finds this {service} {contrary}.
        The {service} is anything but {contrary}.
        In my view this {service} is really not {contrary}."""
    ),
    tickets={
        "billing": _lines(
            """I was [charged|billed] [twice|double|two times] [this month|for one order|again]
            [my|the] [invoice|bill] [is wrong|has an error|shows the wrong amount|is too high]
            [my|the] [card|credit card] was [declined|rejected|refused]
            [how do I|I want to] [update|change] my [credit card|payment method]
            why did the [price|fee|monthly fee] go up
            I need [an invoice|a receipt|a bill] for [my taxes|the accountant|May]
            [there is|I see] an [unknown|odd] [charge|payment] on my [statement|card]
            the [tax|VAT] on [my|the] [bill|invoice] is [missing|wrong]
            you took the [money|payment] [too early|two times]
            can I [pay|be billed] [yearly|by bank transfer|in euros]"""
        ),
        "account": _lines(
            """I [cannot|can not] [sign in|log in|get into my account]
            my [password|login] [does not work|is not accepted|has expired]
            [reset|change|I forgot] my [password|user name]
            I am locked out of [my account|my profile]
            the [login|sign-in] code never [arrives|comes]
            two factor [login|sign-in] fails
            [delete|close] my [account|profile]
            change the email of my [account|login|profile]
            [someone|a stranger] [used|is in] my account
            my [user name|profile] is [taken|gone|wrong]"""
        ),
        "shipping": _lines(
            """my [parcel|package] is [late|lost|not here]
            [where is|when will I get] my [order|parcel|{product}]
            change the [delivery|shipping] address
            [tracking|the tracking number] shows [nothing|an old place]
            it was [delivered|sent] to the wrong [city|house|person]
            the [driver|courier] did not [ring|come|wait]
            how long does [delivery|shipping] to {city} take
            [my|the] [delivery|shipment] is stuck [in customs|in {city}]
            can you [ship|deliver] [my|the] {product} by [Friday|express]
            the courier left [my|the] [parcel|package] in the rain"""
        ),
        "returns": _lines(
            """I want to [return|send back] [my|the] {product}
            the {product} [does not fit|is too small|is too big]
            how do I [return|send back|exchange] [it|my {product}]
            I need a return [label|form]
            [exchange|swap] my {product} for [another|a larger one|a red one]
            you sent me the wrong {product}, I want to [return|exchange] it
            can I still [return|give back] a {product} after [20|30] days
            I sent the {product} back, [any news|did you get it]
            [my|the] {product} has the wrong [colour|size]
            I do not like the {product}, take it back"""
        ),
        "technical": _lines(
            """the [app|program] [crashes|freezes|hangs] [on start|all the time|when I save]
            [the|your] [page|screen|site] is [blank|frozen|white]
            [export|print|upload|search] gives an error
            the [button|menu|link] [does nothing|is dead|is missing]
            the [chart|table|list] is [empty|wrong]
            I get error [404|500|17] [on|in] the [page|app]
            the [update|install] [fails|stops|hangs] [half way|at 90 percent]
            the app is [very|so] slow [today|on my phone]
            the [sound|camera|sync] [does not work|stopped working] in the app
            [files|images|photos] do not [load|open|upload]"""
        ),
        "sales": _lines(
            """do you [offer|have|give] a discount for [schools|teams|students]
            I [want|would like] a [demo|trial|quote]
            [what|how much] does the [team|business|large] plan cost
            we [need|want to buy] [50|100|20] licences
            can [someone|a person] call me about [your plans|the offer]
            which plan is [right|best] for [a team|us|ten people]
            is there a [free|trial] version
            do you sell [the|a] {product} in [bulk|{city}]
            we [are|think of] [switching|moving] to your [plan|product]
            when is the {product} back in stock"""
        ),
    },
)

SYLLABLE_PARTS = (
    _words("b c d f g h j k l m n p r s t v w y z br ch cl dr gr kr pl qu sh sk st th tr wr"),
    _words("a e i o u a e i o u ai ee ia ou é ö"),
    ("", "", "", *_words("ck d k l ll m n ng p r s st t tt x")),
)
ENDINGS = _words(".com .de .org .fr .io .net")
