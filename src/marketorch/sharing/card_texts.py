"""Sentences of model cards that no run records: licences and limits of data, faces."""

from __future__ import annotations

from typing import NamedTuple

FILES = ["path", "test", "item_table", "user_table", "photos", "backgrounds", "crops"]
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
