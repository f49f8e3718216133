"""Five to eight phrases for each class of the labelled views, as PRIMUS says classes [methods §1.7]. Pure data.

PRIMUS's own phrases are not printed; these are ours. Each stands for itself, without a template, and their vectors are
averaged. They say what a person does, as narrations and captions of videos do, and not how a sensor moves.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sensorloom.training.errors import RunError

__all__ = ["PROMPTS", "prompts_of"]

_EGOEXO4D_PRIMUS = {
    "covid test": (
        "a person takes a covid test; doing a covid-19 rapid antigen test; a person swabs their nose; opening "
        "a test kit and reading its instructions; a person drips a sample onto a test strip; a PCR test at a "
        "table"
    ),
    "bike": (
        "a person repairs a bike; fixing a flat bicycle tire; removing the wheel of a bike; a person pumps up "
        "a bicycle tube; cleaning and oiling a bicycle chain; bike repair in a workshop"
    ),
    "climbing": (
        "a person climbs a wall; rock climbing in a gym; bouldering on an indoor wall; a climber reaches for "
        "the next hold; a person hangs from a climbing hold; climbing up a wall with colored holds"
    ),
    "soccer or basketball": (
        "a person plays soccer; a person plays basketball; dribbling a ball; shooting a basketball at the "
        "hoop; kicking a soccer ball; practicing layups on a basketball court; juggling a soccer ball on the "
        "field"
    ),
    "CPR": (
        "a person performs CPR; giving chest compressions to a mannequin; practicing first aid on a dummy; a "
        "person does cardiopulmonary resuscitation; pressing on the chest of a mannequin with both hands; "
        "giving rescue breaths"
    ),
    "cooking": (
        "a person cooks in a kitchen; chopping vegetables on a cutting board; making an omelet in a pan; "
        "preparing a salad; stirring food in a pot; making sushi rolls; a person prepares a meal"
    ),
    "dance": (
        "a person dances; dancing to music in a studio; practicing a dance choreography; a dancer moves their "
        "arms and legs; a person performs salsa steps; turning and stepping to the beat"
    ),
    "music": (
        "a person plays music; playing the piano; playing the guitar; playing the violin; a musician "
        "practices an instrument; a person strums the strings of a guitar"
    ),
}

# AURA-MFM says its classes by their bare names; these serve the few-shot curves, which are PRIMUS's.
_EGOEXO4D_AURA = {
    "Bike Repair": _EGOEXO4D_PRIMUS["bike"],
    "Soccer": (
        "a person plays soccer; kicking a soccer ball; dribbling a soccer ball between cones; juggling a "
        "soccer ball on the field; practicing penalty kicks"
    ),
    "Health": (
        "a person takes a covid test; a person swabs their nose; reading the result of a rapid antigen test; "
        "a person performs CPR; giving chest compressions to a mannequin; practicing first aid"
    ),
    "Music": _EGOEXO4D_PRIMUS["music"],
    "Rock Climbing": _EGOEXO4D_PRIMUS["climbing"],
    "Basketball": (
        "a person plays basketball; shooting a basketball at the hoop; dribbling a basketball; practicing "
        "layups on a basketball court; a player throws the ball at the basket"
    ),
    "Dance": _EGOEXO4D_PRIMUS["dance"],
}

_EGO4D = {
    "Car mechanic": (
        "a mechanic repairs a car; working on a car engine in a garage; loosening bolts with a wrench under a "
        "car; changing a car tire; a person works as a car mechanic"
    ),
    "Carpenter": (
        "a carpenter works with wood; sawing a wooden board; sanding a piece of wood; hammering nails into "
        "wood; measuring and marking a plank; a person builds furniture in a workshop"
    ),
    "Cleaning / laundry": (
        "a person cleans the house; doing the laundry; folding clothes; washing dishes in the sink; mopping "
        "the floor; wiping a table with a cloth; ironing clothes"
    ),
    "Clothes, other shopping": (
        "a person shops for clothes; looking at clothes on a rack in a store; trying on clothes; walking "
        "through a shopping mall; picking an item from a shelf in a shop"
    ),
    "Cooking": (
        "a person cooks in a kitchen; chopping vegetables on a cutting board; stirring food in a pot; frying "
        "food in a pan; kneading dough; cooking a meal on the stove"
    ),
    "Crafting/knitting/sewing/drawing/painting": (
        "a person makes crafts; knitting with yarn and needles; sewing a piece of cloth; drawing on paper "
        "with a pencil; painting a picture with a brush; cutting paper with scissors"
    ),
    "Doing yardwork / shoveling snow": (
        "a person works in the yard; shoveling snow from the driveway; mowing the lawn; raking leaves in the "
        "garden; trimming a hedge"
    ),
    "Eating": (
        "a person eats a meal; eating food at a table; picking up food with a fork; eating with the hands; "
        "drinking from a cup during a meal"
    ),
    "Farmer": (
        "a farmer works in a field; digging the soil with a hoe; planting seedlings on a farm; harvesting "
        "crops; watering plants in a field; pulling weeds from the ground"
    ),
    "Grocery shopping indoors": (
        "a person shops for groceries; pushing a shopping cart in a supermarket; picking vegetables in a "
        "grocery store; taking food from a supermarket shelf; paying at the checkout of a grocery store"
    ),
    "Household management - caring for kids": (
        "a person takes care of children; playing with a child at home; feeding a baby; dressing a toddler; "
        "managing the household with kids; reading a book to a child"
    ),
    "Playing cards": (
        "people play cards at a table; shuffling a deck of cards; dealing playing cards; holding playing "
        "cards in the hand; placing a card on the table"
    ),
    "Practicing a musical instrument": (
        "a person practices a musical instrument; playing the piano; playing the guitar; playing the violin; "
        "a musician plays music at home; pressing the keys of a keyboard"
    ),
    "Walking on street": (
        "a person walks on the street; walking along a sidewalk; walking through the city; crossing a road on "
        "foot; taking a walk outdoors"
    ),
    "jobs related to construction/renovation company\n(Director of work, tiler, plumber, Electrician, Handyman, etc)": (
        "a construction worker at a building site; laying tiles on the floor; plastering a wall with a "
        "trowel; laying bricks with mortar; a plumber fixes a pipe; an electrician connects wires; renovating "
        "a room"
    ),
}

_POSTURES = {
    "lying": (
        "a person lies down; lying on a bed; lying still on the back; resting on a couch; a person lies on "
        "the floor"
    ),
    "sitting": (
        "a person sits on a chair; sitting still; sitting at a table; sitting on a sofa; a seated person"
    ),
    "standing": (
        "a person stands still; standing upright; standing in place and talking; standing and waiting; a "
        "person stands on both feet"
    ),
    "walking": (
        "a person walks; walking at a normal pace; walking along a path; taking a walk outdoors; going "
        "somewhere on foot"
    ),
    "running": "a person runs; jogging outdoors; running fast; a runner on a track; going for a run",
}

_REALWORLD = {
    "climbingdown": (
        "a person walks down the stairs; going downstairs; descending a staircase; climbing down steps; "
        "stepping down one stair after another"
    ),
    "climbingup": (
        "a person walks up the stairs; going upstairs; ascending a staircase; climbing up steps; stepping up "
        "one stair after another"
    ),
    "jumping": (
        "a person jumps; jumping up and down; hopping on both feet; doing jumping jacks; leaping into the air"
    ),
}

_PAMAP2 = {
    "cycling": (
        "a person rides a bicycle; cycling on a road; pedaling a bike; riding a bike outdoors; a cyclist on a "
        "bike"
    ),
    "Nordic walking": (
        "a person does Nordic walking; walking with poles; walking briskly with Nordic walking sticks; "
        "planting walking poles at every step; hiking with two poles"
    ),
    "watching TV": (
        "a person watches television; watching TV on a couch; sitting in front of a television; looking at a "
        "TV screen; relaxing while watching a film"
    ),
    "computer work": (
        "a person works at a computer; typing on a keyboard; working at a desk with a laptop; using a "
        "computer mouse; office work at a screen"
    ),
    "car driving": (
        "a person drives a car; driving on a road; turning a steering wheel; sitting behind the wheel of a "
        "car; driving in traffic"
    ),
    "ascending stairs": _REALWORLD["climbingup"],
    "descending stairs": _REALWORLD["climbingdown"],
    "vacuum cleaning": (
        "a person vacuums the floor; cleaning the carpet with a vacuum cleaner; pushing a vacuum cleaner back "
        "and forth; vacuum cleaning a room; hoovering the living room"
    ),
    "ironing": (
        "a person irons clothes; ironing a shirt on an ironing board; pressing clothes with an iron; moving "
        "an iron over cloth; smoothing a T-shirt with a hot iron"
    ),
    "folding laundry": (
        "a person folds laundry; folding clothes; folding a shirt on a table; putting folded clothes on a "
        "pile; sorting clean laundry"
    ),
    "house cleaning": (
        "a person cleans the house; dusting the shelves; wiping furniture with a cloth; tidying up a room; "
        "mopping the floor"
    ),
    "playing soccer": (
        "a person plays soccer; kicking a ball; dribbling a soccer ball; running after a football; passing "
        "the ball to another player"
    ),
    "rope jumping": (
        "a person jumps rope; skipping with a rope; jumping over a swinging rope; rope skipping exercise; "
        "doing workouts with a jump rope"
    ),
}

PROMPTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        name: tuple(phrases.split("; "))
        for group in (_EGOEXO4D_PRIMUS, _EGOEXO4D_AURA, _EGO4D, _POSTURES, _REALWORLD, _PAMAP2)
        for name, phrases in group.items()
    }
)
"""The phrases by the name of their class. `Cooking` of Ego4D and of AURA-MFM's eight are one class of this name."""


def prompts_of(name: str) -> tuple[str, ...]:
    """Return the phrases of the class `name`; raises RunError where nobody has written any."""
    if name not in PROMPTS:
        raise RunError(
            f"class {name!r} has no prompts; say classes by their bare names (wording 'names'), or write 5 to 8 "
            "phrases for it into training/evaluation/prompts.py"
        )
    return PROMPTS[name]
