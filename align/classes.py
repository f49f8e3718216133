"""The classes that views label windows with, and how a data set's own words are read as one of them."""

from __future__ import annotations

__all__ = [
    "EGO4D_10",
    "EGO4D_15",
    "EGOEXO4D_AURA_8",
    "EGOEXO4D_PRIMUS_8",
    "EGOEXO4D_PRIMUS_WORDS",
    "PAMAP2_CLASSES",
    "PAMAP2_PROTOCOL_CLASSES",
    "REALWORLD_CLASSES",
    "class_index",
]

# AURA-MFM's 18 PAMAP2 classes: 12 protocol and 6 optional activities, in the order of the data set's ids.
PAMAP2_CLASSES = (
    "lying", "sitting", "standing", "walking", "running", "cycling", "Nordic walking",
    "watching TV", "computer work", "car driving", "ascending stairs", "descending stairs", "vacuum cleaning",
    "ironing", "folding laundry", "house cleaning", "playing soccer", "rope jumping",
)  # fmt: skip

# CroSSL's 12: the protocol's activities only.
PAMAP2_PROTOCOL_CLASSES = (
    "lying", "sitting", "standing", "walking", "running", "cycling", "Nordic walking",
    "ascending stairs", "descending stairs", "vacuum cleaning", "ironing", "rope jumping",
)  # fmt: skip

REALWORLD_CLASSES = (
    "climbingdown", "climbingup", "jumping", "lying", "running", "sitting", "standing", "walking",
)  # fmt: skip

# PRIMUS's 8, in the order of its indices 0 … 7 (scripts/construct_egoexo_labels.py).
EGOEXO4D_PRIMUS_8 = (
    "covid test", "bike", "climbing", "soccer or basketball", "CPR", "cooking", "dance", "music",
)  # fmt: skip

# What PRIMUS looks for in the take's name, case aside; the first that is found decides.
EGOEXO4D_PRIMUS_WORDS = tuple(
    (word, name)
    for name, words in zip(
        EGOEXO4D_PRIMUS_8,
        (
            ("covid", "pcr"), ("bike",), ("bouldering", "rockclimbing"), ("soccer", "basketball"), ("cpr",),
            ("cooking", "omelet", "salad", "sushi"), ("dance",), ("music", "guitar", "piano", "violin"),
        ),
        strict=True,
    )
    for word in words
)  # fmt: skip

# AURA-MFM's 8 are the data set's own groups of tasks, in the order of its zero-shot prompts.
EGOEXO4D_AURA_8 = (
    "Bike Repair", "Soccer", "Cooking", "Health", "Music", "Rock Climbing", "Basketball", "Dance",
)  # fmt: skip

# PRIMUS's 15 Ego4D scenarios (scripts/construct_ego_labels.py), of videos that have exactly one. They are the data
# set's own strings and must match whole: "Eating at a restaurant" is another scenario than "Eating".
EGO4D_15 = (
    "Car mechanic",
    "Carpenter",
    "Cleaning / laundry",
    "Clothes, other shopping",
    "Cooking",
    "Crafting/knitting/sewing/drawing/painting",
    "Doing yardwork / shoveling snow",
    "Eating",
    "Farmer",
    "Grocery shopping indoors",
    "Household management - caring for kids",
    "Playing cards",
    "Practicing a musical instrument",
    "Walking on street",
    "jobs related to construction/renovation company\n(Director of work, tiler, plumber, Electrician, Handyman, etc)",
)

# The paper's 10, for which the published evaluation has prompts, in its order.
EGO4D_10 = tuple(
    name
    for name in EGO4D_15
    if name
    not in {
        "Car mechanic",
        "Clothes, other shopping",
        "Doing yardwork / shoveling snow",
        "Grocery shopping indoors",
        "Playing cards",
    }
)


def class_index(
    text: str, classes: tuple[str, ...], class_words: tuple[tuple[str, str], ...] = ()
) -> int | None:
    """Return the place in `classes` of a label's text, None where it is none of them.

    With `class_words` the class is that of the first pair (word, class) whose word stands in the text, case aside;
    without, the text is the class.
    """
    if not class_words:
        return classes.index(text) if text in classes else None
    lowered = text.lower()
    return next((classes.index(name) for word, name in class_words if word.lower() in lowered), None)
