"""Sentences of model cards that no run records: licences of data, uses, misuses, people."""

from __future__ import annotations

from typing import NamedTuple

FILES = ["path", "test_path", "item_table", "user_table", "photos", "backgrounds", "crops"]
FILES += ["marks", "distractors", "images", "validation", "test"]
"""Arguments of data sources that name what they read."""


class Source(NamedTuple):
    """Where data come from.

    Args:
        name: what they are called.
        licence: a sentence on how they may be used.
        limits: sentences on what they cannot show.
    """

    name: str
    licence: str
    limits: tuple[str, ...] = ()


class Kind(NamedTuple):
    """What is said of all models of a task.

    Args:
        tag: the hub's word for the task, if it has one.
        does: completes *a model that …*.
        intended: a paragraph on what it is good for.
        misuse: sentences on what it must not be used for.
        reveals: a paragraph on what of the training data is in the files.
        example: what `Run.predict` is called with, as code.
        people: sentences on those whom it is used on.
    """

    tag: str | None
    does: str
    intended: str
    misuse: tuple[str, ...]
    reveals: str
    example: str = ""
    people: tuple[str, ...] = ()


RESEARCH = "for research; ask its authors about anything else."
BY = "CC BY 4.0: name its authors."
CC0 = "CC0; the marks themselves are trademarks of their owners."
EMBEDDED = Source(
    "made up by marketorch",
    "Apache 2.0, as the code that makes them.",
    ("The data are made up: what is measured on them says nothing of real ones.",),
)
UNKNOWN = Source(
    "files of whoever trained it",
    "not known to marketorch. Check it yourself before you share the model, and say it here.",
)
REPORTED = "Labels are what onlookers or collectors said of a picture, and they often disagree."
SOURCES = {
    "emotion/fer2013": Source("FER2013", RESEARCH, (REPORTED,)),
    "emotion/smiles": Source("photographs of smiles, genuine or posed", RESEARCH, (REPORTED,)),
    "sentiment/sst2": Source("SST-2", RESEARCH, ("It has sentences of film reviews alone.",)),
    "sentiment/imdb": Source("IMDB reviews", RESEARCH, ("It has film reviews alone.",)),
    "sentiment/airline_tweets": Source(
        "US airline tweets", "CC BY-NC-SA: no commercial use.", ("It has posts on airlines alone.",)
    ),
    "recommender/ml-": Source("MovieLens", "MovieLens' own terms, for research."),
    "recommender/gowalla": Source("Gowalla check-ins", "not known; check it yourself."),
    "tabular/telco_churn": Source("Telco churn (IBM)", "Apache 2.0."),
    "tabular/bank_marketing": Source("Bank marketing (Moro, Cortez and Rita 2014)", BY),
    "tabular/lead_scoring": Source("leads of X Education", "not known; check it yourself."),
    "tabular/hillstrom": Source("Hillstrom's e-mail experiment (2008)", "free to use."),
    "tabular/adult": Source(
        "Adult (Becker and Kohavi 1996)", BY, ("It is of people in the United States in 1994.",)
    ),
    "logo/flickrlogos27": Source("FlickrLogos-27", RESEARCH),
    "logo/brand_marks": Source("clean marks of brands", CC0),
    "logo/distractor_marks": Source("other clean marks", CC0),
}
"""By a part of the paths at which the data configs of marketorch have them."""

FACES = (
    "What a face shows is not what a person feels. A model knows neither the situation nor the "
    "person, and no picture tells either.",
    "Faces are read differently by people of different cultures and ages, and so they are "
    "labelled; whom the data lack, the model reads worst. Measure that before you use it.",
    "Ask everyone whose face you process, say what for, and keep neither photo nor answer longer "
    "than that takes. A photo of a face is personal data.",
    "Do not decide about anyone by it: not on work, schooling, credit, insurance, health, "
    "honesty or danger.",
    "In the European Union, Article 5(1)(f) of the AI Act (Regulation (EU) 2024/1689) prohibits "
    "AI that infers emotions of people at work and in education, except for medical or safety "
    "reasons; elsewhere, Article 50(3) wants people to be told. Other countries have laws of "
    "their own. This is no legal advice.",
)
WORDS = (
    "The vocabulary is in the checkpoint, and with it words of the training texts. If these are "
    "confidential, so is the checkpoint."
)
OTHER = Kind(
    None,
    "solves a task of its own",
    "What it was trained for, on data like those it was trained on.",
    ("Decisions about people that nobody looks at.",),
    "",
)
TEXTS = Kind(
    "text-classification",
    "tells which of a few classes a text belongs to",
    "Reading many texts of the kind it was trained on: triage, trends, a first look that a person "
    "checks. The probabilities say how sure it is; `explain` says which words told.",
    (
        "Judging a person by what they wrote, or acting on a single text without reading it.",
        "Texts of another kind or language than those it learnt from.",
        "Irony, quotations and what is left unsaid: it reads words, not intentions.",
    ),
    WORDS,
    '["A text."]',
)
IMAGES = Kind(
    "image-classification",
    "tells which of a few classes an image belongs to",
    "Sorting many pictures of the kind it was trained on, with a person who looks at what matters. "
    "The probabilities say how sure it is.",
    (
        "Identifying people, or judging them by how they look.",
        "Pictures of another kind than those it learnt from.",
    ),
    "",
    '"photo.jpg"',
)
BRANDS = Kind(
    "object-detection",
    "finds brands in photos and says where they are",
    "Counting how often brands are seen in photos and videos that you may process: sponsoring, "
    "shelves, placements. A person checks what matters.",
    (
        "Saying that somebody endorses, buys or works for a brand: that it is seen in a photo does "
        "not show it.",
        "Telling genuine goods from counterfeits.",
        "Watching people by what they wear or carry.",
        "Use of the marks: they belong to their owners, and a model gives no right to them.",
    ),
    "",
    '"photo.jpg"',
)
ITEMS = Kind(
    None,
    "ranks the items of a catalogue by what somebody takes next",
    "Recommending items of this catalogue to people who can decline, from what they have taken "
    "before.",
    (
        "Saying what is good for anyone: it repeats what people took, the popular most of all.",
        "Inferring what people did not tell (health, beliefs, means) from what they take.",
        "Prices, credit or access that depend on a person's history.",
    ),
    "The ids of all items and of all users that it was trained on are in the checkpoint. Give "
    "users other ids before training if theirs tell who they are.",
)
PEOPLE = (
    "Its data are of people, and so is every prediction: personal data, of which people may ask "
    "what is held, and why. Keep neither longer than they serve.",
    "What it has learnt holds what was done before, the unfair as well. Sex, origin, age, health, "
    "beliefs and what stands for them (a postcode, a first name) should be left out where they "
    "must not count (`data.drop`); leaving them out does not prove that they do not. Compare how "
    "it ranks, and errs, between groups before you use it.",
    "A reason says what the model went by, not what moved a person, and not what would change "
    "them.",
    "In the European Union, Article 22 of the GDPR (Regulation (EU) 2016/679) gives people the "
    "right not to be subject to a decision with legal or similarly significant effects that is "
    "based solely on automated processing, profiling included; by Article 21 they may object to "
    "profiling for direct marketing at any time. Other countries have laws of their own. This is "
    "no legal advice.",
)
CUSTOMERS = Kind(
    "tabular-classification",
    "tells how likely each customer is to do something, and ranks them by it",
    "Choosing in which order to call, write to or look after customers, with a person who answers "
    "for it, and on customers like those it was trained on. `reasons` name the columns that told.",
    (
        "Denying anybody a service, a price, credit, insurance, a home or work by it alone.",
        "Saying why people do something, or what a call or a discount would change: for that, "
        "customers have to be drawn by lot (`task=uplift`).",
        "Other customers, years or offers than those it learnt from, unless it is measured on "
        "them.",
    ),
    "No row of the table is in the files, but these are: the levels that at least "
    "`data.min_count` customers share, and up to 512 values of each number, the smallest and the "
    "largest among them. If these are confidential, so are the files.",
    '"customers.csv"',
    PEOPLE,
)
KINDS = {
    "TextClassification": TEXTS,
    "ImageClassification": IMAGES,
    "Detection": BRANDS,
    "Recommendation": ITEMS,
    "Propensity": CUSTOMERS,
    "Uplift": CUSTOMERS._replace(
        tag=None,
        does="tells whom an offer changes, and ranks customers by how much",
        misuse=(
            CUSTOMERS.misuse[0],
            "Saying what it did to any one customer: nobody is ever seen with and without it.",
            CUSTOMERS.misuse[2],
        ),
    ),
    "MaskedLanguage": Kind(
        None,
        "has learnt to name words that are hidden in a text, for others to start from",
        "Starting a text classifier from it: `init_from=` its folder.",
        ("Anything without further training.",),
        WORDS,
    ),
}
