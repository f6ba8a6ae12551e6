"""How a text is to differ from what the author would write by themselves. In: a Style. Out: sentences for the request.

Formality and warmth are asked for in plain words, because any runtime understands those; what the twin makes of them depends on
its base. Length is part of the wording, as in training. Voice is no matter of words: where the runtime can weaken the
adapter, it does (runtimes/llama_cpp.py).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

_FORMALITY = {
    -2: "Write very casually, as you would talk to a friend.",
    -1: "Write a little more casually than usual.",
    1: "Write a little more formally than usual.",
    2: "Write in a formal register.",
}
_WARMTH = {
    -2: "Stay cool and matter-of-fact.",
    -1: "Be a little more matter-of-fact than usual.",
    1: "Be a little warmer than usual.",
    2: "Be warm and personal.",
}


class Style(BaseModel):
    """What a writer turns. 0 is as the author writes; length: about how many words; None leaves it to the twin."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={"examples": [{"formality": 1, "warmth": 2, "voice": 1.0, "length": 300}]},
    )

    formality: Annotated[int, Field(ge=-2, le=2, description="-2 very casual … 2 formal; 0 as the author is")] = 0
    warmth: Annotated[int, Field(ge=-2, le=2, description="-2 matter-of-fact … 2 warm; 0 as the author is")] = 0
    voice: Annotated[
        float,
        Field(ge=0, le=1, description="how much of the author's voice; below 1 only where /api/models says it can be"),
    ] = 1.0
    length: Annotated[int | None, Field(ge=10, le=20_000, description="about how many words")] = None

    def sentences(self, with_length: bool = False) -> str:
        """What to add to the instruction; "" where nothing was turned. with_length: where the wording does not say it."""
        told = [_FORMALITY.get(self.formality), _WARMTH.get(self.warmth)]
        if with_length and self.length is not None:
            told.append(f"Write about {self.length} words.")
        return " ".join(filter(None, told))
