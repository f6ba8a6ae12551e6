"""Texts to measure, for the tests of evaluation/: an author with a vocabulary of his own for each subject, in any amount."""

from __future__ import annotations

import random

SUBJECTS = (
    "clock,spring,pendulum,escapement,dial,workshop,oil,brass",
    "harbour,pilot,tide,mooring,buoy,anchor,ferry,breakwater",
    "bread,oven,sourdough,flour,crust,kneading,yeast,rye",
    "garden,compost,tomato,hedge,slug,trellis,seedling,frost",
    "bicycle,chain,sprocket,brake,tyre,saddle,puncture,gravel",
    "telescope,nebula,eyepiece,orbit,comet,mirror,dew,meridian",
    "violin,bow,rosin,quartet,fingering,luthier,scale,vibrato",
    "compiler,parser,token,register,linker,syntax,opcode,stack",
    "beehive,swarm,queen,honey,smoker,brood,drone,nectar",
    "chess,opening,pawn,endgame,rook,gambit,blunder,tempo",
    "darkroom,enlarger,negative,developer,fixer,shutter,grain,exposure",
    "canoe,paddle,rapids,portage,bowline,lake,current,gunwale",
)
_SMALL = ("then", "still", "once", "quietly", "perhaps", "almost", "again", "late", "early", "twice")
_FRAMES = (
    "I spent the morning with the {a}, and the {b} would not have it.",
    "The {a} was older than I had thought; the {b}, on the other hand, was new.",
    "Nobody tells you about the {a}.",
    "My neighbour says that a {a} without a {b} is half a {a}, and she may be right about the {c}.",
    "It took three tries, two cups of tea and a borrowed {b} before the {a} gave in.",
    "What I did not expect was how the {c} changed once the {a} had been put away for the winter.",
    "So I left the {a} on the table (next to the {b}) and went for a walk.",
    "By evening the {b} and the {c} had been sorted into boxes, which is a start.",
    "You can buy a {a} anywhere; a good {c} you have to wait for.",
)


def subject(number: int) -> list[str]:
    return SUBJECTS[number % len(SUBJECTS)].split(",")


def prompt(number: int) -> str:
    """An instruction about a subject."""
    return f"Write a blog post titled “The {subject(number)[0]} and the {subject(number)[1]}”."


def post(number: int, seed: int, sentences: int = 30) -> str:
    """A post by the author on a subject; another seed, another post."""
    chance = random.Random(f"{number} {seed}")
    parts = []
    for place in range(sentences):
        a, b, c = chance.sample(subject(number), 3)
        extra = " ".join(chance.choices(_SMALL, k=2))
        parts.append(chance.choice(_FRAMES).format(a=a, b=f"{extra} {b}", c=c) + ("\n\n" if place % 4 == 3 else " "))
    return "".join(parts).strip()


def assistant(number: int, seed: int, sentences: int = 20) -> str:
    """What a model says about a subject when nobody taught it a voice."""
    chance = random.Random(f"assistant {number} {seed}")
    frames = (
        "It's important to note that the {a} plays a vital role in the {b}.",
        "Furthermore, the {a} offers many benefits — from the {b} to the {c} — that are often overlooked!",
        "Additionally, understanding the {a} can help you unlock the full potential of the {b}.",
        "Whether you're a beginner or an expert, the {c} is a crucial aspect of every {a}.",
    )
    said = []
    for _ in range(sentences):
        a, b, c = chance.sample(subject(number), 3)
        said.append(chance.choice(frames).format(a=a, b=b, c=c))
    return "\n\n".join(said)
