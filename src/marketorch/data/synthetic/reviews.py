"""Product reviews with a known sentiment, written by a small grammar: no files and no network.

Each review tells of one product of an invented brand in one to four opinion sentences among
neutral ones. An opinion has a signed value, and the sentence around it decides what that value
is worth: "not" turns it round, "but" sets the first half aside, praise for a rival counts
against the brand, "used to be" gives way to "now", a question counts for nothing. The label is
the sign of the sum, so it follows from how the words are put together and hardly from which
words there are: a bag of words stays far behind a model that reads the sentences in order.
Review i is a function of (seed, i) alone, so any range of an endless data set can be asked for.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import NamedTuple

CLARITY = 0.5  # a review is written anew unless |sum of values| > CLARITY * sum of |values|


class Aspect(NamedTuple):
    """A side of a product, with the words that praise and blame this side in particular."""

    name: str
    good: tuple[str, ...]
    bad: tuple[str, ...]
    plural: bool = False

    def slots(self) -> dict[str, str]:
        """Return what fills the slots of a template, in number with the aspect."""
        singular = ("is", "was", "it", "that")
        words = ("are", "were", "they", "those") if self.plural else singular
        return dict(zip(singular, words, strict=True), aspect=self.name)


class Market(NamedTuple):
    """A kind of product, with the aspects that its customers speak of."""

    products: tuple[str, ...]
    aspects: tuple[Aspect, ...]


class Template(NamedTuple):
    """A clause whose value is ``factor`` times that of the opinion in its slot.

    The slot is ``{opinion}`` (any strength), ``{word}`` (a plain adjective) or ``{comparative}``.
    A ``polarity`` other than zero restricts the opinions that make sense in it.
    """

    text: str
    factor: float = 1.0
    polarity: int = 0


class Turn(NamedTuple):
    """A clause with an earlier opinion that counts for nothing and a later one that counts."""

    text: str
    opposed: bool = True


class Clause(NamedTuple):
    """Words and what they say about the brand: above zero for praise, below for blame."""

    text: str
    value: float


BRANDS = (
    "Norvane", "Zelqua", "Marlune", "Bryntel", "Osterlin", "Quillip", "Fennmark", "Tavoro",
    "Lumexa", "Kestrow", "Dapplin", "Virelle", "Hollgate", "Ombrio", "Pintree", "Sarvik",
)  # fmt: skip

PRICE = Aspect("price", ("small", "low"), ("high", "steep"))
DELIVERY = Aspect("delivery", ("quick", "punctual"), ("slow", "late"))
SUPPORT = Aspect("support", ("quick", "friendly"), ("slow", "rude"))
MARKETS = (
    Market(
        ("phone", "laptop", "tablet", "smartwatch", "camera", "radio", "e-reader", "projector"),
        (Aspect("battery life", ("long", "dependable"), ("short", "erratic")),
         Aspect("screen", ("sharp", "bright"), ("dim", "blurry")),
         Aspect("charger", ("cool", "light"), ("hot", "heavy")),
         Aspect("speaker", ("loud", "clear"), ("quiet", "tinny")),
         PRICE, DELIVERY, SUPPORT),
    ),
    Market(
        ("vacuum", "blender", "kettle", "toaster", "coffee maker", "fan", "juicer", "heater"),
        (Aspect("motor", ("quiet", "powerful"), ("loud", "weak")),
         Aspect("handle", ("sturdy", "solid"), ("loose", "flimsy")),
         Aspect("warm-up time", ("short",), ("long",)),
         Aspect("water tank", ("large", "deep"), ("small", "leaky")),
         PRICE, DELIVERY, SUPPORT),
    ),
    Market(
        ("jacket", "backpack", "sweater", "raincoat", "shirt", "tent", "sleeping bag", "dress"),
        (Aspect("fit", ("relaxed", "comfortable"), ("tight", "awkward")),
         Aspect("fabric", ("thick", "soft"), ("thin", "scratchy")),
         Aspect("pockets", ("deep", "large"), ("small", "shallow"), plural=True),
         Aspect("stitching", ("neat", "sturdy"), ("loose", "sloppy")),
         PRICE, DELIVERY, SUPPORT),
    ),
    Market(
        ("granola", "tomato soup", "yoghurt", "green tea", "curry", "muesli", "pizza", "ice cream"),
        (Aspect("taste", ("rich", "fresh"), ("bland", "stale")),
         Aspect("portions", ("large", "generous"), ("small", "stingy"), plural=True),
         Aspect("texture", ("light", "smooth"), ("heavy", "soggy")),
         Aspect("ingredients", ("fresh", "natural"), ("cheap", "stale"), plural=True),
         PRICE, DELIVERY, SUPPORT),
    ),
    Market(
        ("hotel", "airport lounge", "coffee bar", "bakery", "spa", "cinema", "ferry", "night bus"),
        (Aspect("waiting time", ("short",), ("long",)),
         Aspect("coffee", ("hot", "strong"), ("cold", "weak")),
         Aspect("seats", ("soft", "clean"), ("hard", "dirty"), plural=True),
         Aspect("service", ("quick", "friendly"), ("slow", "rude")),
         PRICE, SUPPORT),
    ),
)  # fmt: skip

# Words of praise (1) and of blame (-1), with the strength that an adverb gives them.
PLAIN = {
    1: ("good", "nice", "pleasant", "impressive"),
    -1: ("bad", "poor", "disappointing", "frustrating"),
}
EXTREME = {1: ("excellent", "superb", "outstanding"), -1: ("awful", "terrible", "dreadful")}
ADVERBS = {
    1: {"fairly": 0.5, "reasonably": 0.5, "really": 1.5, "very": 1.5, "extremely": 2.0},
    -1: {"a bit": 0.5, "slightly": 0.5, "really": 1.5, "very": 1.5, "extremely": 2.0},
}
COMPARATIVES = {1: ("better", "nicer"), -1: ("worse", "poorer")}
DEGREES = {"": 1.0, "clearly ": 1.5, "far ": 2.0, "slightly ": 0.5}

STATEMENTS = (
    Template("the {aspect} {is} {opinion}"),
    Template("I find the {aspect} {opinion}"),
)
NEGATIONS = (
    Template("the {aspect} {is} not {word}", -1.0),
    Template("I would never call the {aspect} {word}", -1.0),
    Template("the {aspect} {is} hardly ever {word}", -1.0),
    Template("the {aspect} {is} barely {word}", -1.0, polarity=1),
    Template("the {aspect} {is} no longer {word}", -1.0),
    Template("nobody can say that the {aspect} {is} not {word}", 1.0),
)
COMPARISONS = (
    Template("the {aspect} {is} {comparative} than {that} of {rival}"),
    Template("the {aspect} of our old {rival} {was} {comparative}", -1.0),
    Template("the {aspect} of its rival {rival} {is} {word}", -1.0),
)
REPORTS = (
    Template("everyone told me the {aspect} {was} {opinion}, and they were wrong", -1.0),
    Template("everyone told me the {aspect} {was} {opinion}, and they were right"),
    Template("if the {aspect} were {word}, I would choose it again", -1.5, polarity=1),
    Template("if the {aspect} were {word}, I would choose another", -1.5, polarity=-1),
    Template("what matters to me is the {aspect}, and {it} {is} {opinion}", 2.5),
    Template("it does not matter to me that the {aspect} {is} {opinion}", 0.0),
    Template("a friend asked me whether the {aspect} {is} {opinion}", 0.0),
)
TURNS = (
    Turn("the {aspect} used to be {before}, and now {it} {is} {after}"),
    Turn("the {aspect} {was} {before} at first, and by now {it} {is} {after}"),
    Turn("I expected the {aspect} to be {before}, and {it} turned out {after}"),
    Turn("the {aspect} {is} not only {before} but {after}", opposed=False),
)
CONTRASTS = (
    "{conceded}, but {main}",
    "although {conceded}, {main}",
    "{main}, even though {conceded}",
    "despite the fact that {conceded}, {main}",
)
OPENINGS = (
    "I chose the {brand} {product} {when}",
    "we tried the {brand} {product} {when}",
    "this is about the {product} from {brand}",
)
WHEN = ("last month", "in spring", "for a trip", "this year")
FILLERS = (
    "I paid by card",
    "there are four of us",
    "my neighbour has the same one",
    "I saw an advert on the bus",
    "we live near the coast",
    "the receipt came by mail",
)


@dataclass(frozen=True)
class Reviews:
    """Reviews ``texts`` with the label of each as observed and as it was before label noise."""

    texts: list[str]
    labels: list[int]
    true_labels: list[int]
    label_noise: float
    class_names: tuple[str, str] = ("negative", "positive")

    @property
    def best_accuracy(self) -> float:
        """The accuracy against ``labels`` of a reader who understands every review."""
        return 1.0 - self.label_noise


def generate_reviews(
    num_examples: int, *, seed: int = 0, label_noise: float = 0.04, start: int = 0
) -> Reviews:
    """Write the reviews ``start`` to ``start + num_examples`` of the data set ``seed``.

    Args:
        num_examples: How many reviews to write.
        seed: Which data set; another seed gives unrelated reviews.
        label_noise: The probability, below a half, that an observed label is the wrong one.
        start: The index of the first review, so that disjoint ranges make a train and a test set.

    Returns:
        The reviews, labelled 0 (negative) or 1 (positive).
    """
    if not 0.0 <= label_noise < 0.5:
        raise ValueError(f"label_noise must be in [0, 0.5), got {label_noise}")
    texts, labels, true_labels = [], [], []
    for index in range(start, start + num_examples):
        rng = random.Random(f"{seed}/{index}")
        flipped = rng.random() < label_noise
        label = rng.randrange(2)
        texts.append(_write_review(rng, polarity=2 * label - 1))
        labels.append(label ^ flipped)
        true_labels.append(label)
    return Reviews(texts, labels, true_labels, label_noise)


def _write_review(rng: random.Random, polarity: int) -> str:
    """Write reviews until one is clearly of the polarity asked for, and return its text."""
    while True:
        market = rng.choice(MARKETS)
        brand, rival = rng.sample(BRANDS, 2)
        opinions = _Author(rng, rival).write_opinions(market)
        score = sum(clause.value for clause in opinions)
        weight = sum(abs(clause.value) for clause in opinions)
        if polarity * score > CLARITY * weight:
            break
    opening = rng.choice(OPENINGS).format(
        brand=brand, product=rng.choice(market.products), when=rng.choice(WHEN)
    )
    sentences = [opening, *(clause.text for clause in opinions)]
    for filler in rng.sample(FILLERS, rng.choice((0, 0, 1))):
        sentences.insert(rng.randint(1, len(sentences)), filler)
    return " ".join(f"{sentence[0].upper()}{sentence[1:]}." for sentence in sentences)


class _Author:
    """Writes clauses about one product, which competes with the brand ``rival``."""

    def __init__(self, rng: random.Random, rival: str) -> None:
        self.rng = rng
        self.rival = rival

    def write_opinions(self, market: Market) -> list[Clause]:
        """Write sentences on one to four aspects, each aspect once."""
        (count,) = self.rng.choices((1, 2, 3, 4), weights=(12, 6, 1, 1))
        aspects = self.rng.sample(market.aspects, count)
        clauses = []
        while aspects:
            if len(aspects) > 1 and self.rng.random() < 0.4:
                clauses.append(self.contrast(aspects.pop(), aspects.pop()))
            else:
                clauses.append(self.sentence(aspects.pop()))
        return clauses

    def contrast(self, conceded_aspect: Aspect, main_aspect: Aspect) -> Clause:
        """Concede a statement of the opposite sign to an assertion, which wins."""
        main = self.assertion(main_aspect)
        opposite = -1 if main.value > 0 else 1
        conceded = self.fill(self.rng.choice(STATEMENTS), conceded_aspect, opposite)
        text = self.rng.choice(CONTRASTS).format(conceded=conceded.text, main=main.text)
        return Clause(text, main.value)

    def sentence(self, aspect: Aspect) -> Clause:
        """Write any kind of sentence on a single aspect."""
        (kind,) = self.rng.choices(("assertion", "report", "turn"), weights=(5, 3, 3))
        if kind == "assertion":
            return self.assertion(aspect)
        if kind == "report":
            return self.fill(self.rng.choice(REPORTS), aspect)
        return self.turn(aspect)

    def assertion(self, aspect: Aspect) -> Clause:
        """State, deny or compare: a clause that can also be part of a longer sentence."""
        kinds = (STATEMENTS, NEGATIONS, COMPARISONS)
        (templates,) = self.rng.choices(kinds, weights=(5, 3, 2))
        return self.fill(self.rng.choice(templates), aspect)

    def turn(self, aspect: Aspect) -> Clause:
        """Tell of a first opinion and of the one that took its place."""
        turn = self.rng.choice(TURNS)
        polarity = self.rng.choice((1, -1))
        before = self.word(aspect, -polarity if turn.opposed else polarity)
        after = self.opinion(aspect, polarity) if turn.opposed else self.extreme(polarity)
        return Clause(
            turn.text.format(before=before.text, after=after.text, **aspect.slots()), after.value
        )

    def fill(self, template: Template, aspect: Aspect, polarity: int = 0) -> Clause:
        """Put an opinion into the slot of a template, of any polarity if zero is given."""
        polarity = template.polarity or polarity or self.rng.choice((1, -1))
        kinds = {"opinion": self.opinion, "word": self.word, "comparative": self.comparative}
        slot = next(kind for kind in kinds if f"{{{kind}}}" in template.text)
        said = kinds[slot](aspect, polarity)
        text = template.text.format(rival=self.rival, **{slot: said.text}, **aspect.slots())
        return Clause(text, template.factor * said.value)

    def opinion(self, aspect: Aspect, polarity: int) -> Clause:
        """Choose an adjective of any strength, such as "awful" or "a bit slow"."""
        if self.rng.random() < 0.2:
            return self.extreme(polarity)
        word = self.word(aspect, polarity)
        if self.rng.random() < 0.5:
            return word
        adverb, strength = self.rng.choice(list(ADVERBS[polarity].items()))
        return Clause(f"{adverb} {word.text}", strength * word.value)

    def extreme(self, polarity: int) -> Clause:
        """Choose an adjective that is strong by itself, such as "superb"."""
        return Clause(self.rng.choice(EXTREME[polarity]), 2.0 * polarity)

    def word(self, aspect: Aspect, polarity: int) -> Clause:
        """Choose a plain adjective: one for any product, or one that suits the aspect."""
        own = aspect.good if polarity > 0 else aspect.bad
        words = own if self.rng.random() < 0.4 else PLAIN[polarity]
        return Clause(self.rng.choice(words), float(polarity))

    def comparative(self, aspect: Aspect, polarity: int) -> Clause:
        """Choose a comparative of any strength, such as "far better"."""
        degree, strength = self.rng.choice(list(DEGREES.items()))
        return Clause(degree + self.rng.choice(COMPARATIVES[polarity]), strength * polarity)
