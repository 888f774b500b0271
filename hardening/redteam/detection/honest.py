"""What honest accounts ask, kind by kind, that no public set holds: written from sentences with slots.

Each account of a kind has its own few sentences, as programs do: it is narrow, and that is no fault.
"""

from __future__ import annotations

import random

from hardening.redteam.detection.grammar import Part, filled, part_of

AGENTS = (
    "Fix the failing test in src/{module}/test_{verb}.py. It ends with {error}. Change only what is needed.",
    "src/{module}/{verb}_{noun}.py line {big}: {error}. Find out why and repair it, then run the tests.",
    "The file {module}/{noun}.ts has been changed since you read it. Read it again and continue.",
    "Continue. Open task: rename {verb}_{noun} in {module} and update its callers ({n} of {big} files are done).",
    "Tests: {n} failed, {big} passed. First failure: test_{verb}_{noun} ({error}). Keep going until all are green.",
    "Apply this to {module}/{noun}.go: {verb} must take a context and return an error. Here is the diff so far: +{big} -{n}.",
    "<environment> cwd=/srv/{module} branch=fix-{noun} dirty={n} </environment> Implement {verb}() for {noun} as in the ticket.",
    "Review the change to {module}/{verb}.rs ({big} lines). Look at error paths only; answer with a list of findings.",
    "CI step {n}/{n} broke on {module}: {error}. Log is attached as {noun}-{big}.log. Propose one patch.",
    "Write the docstring of {verb}_{noun} in {module}. Keep the style of the file. Current coverage: {n}%.",
    "Refactor {module}.{verb} so that {noun} is passed in instead of global; ticket {big}.",
    "Add a regression test to {module} for {error} in {verb}_{noun}; do not touch other files.",
)

TRAVEL = (
    "Plan {n} days in {city} in {month} for {n} adults, budget {big}0 euros, interests: {topic} and {topic}. Hotel near the station.",
    "Customer {name} asks for a weekend in {city}. Give three hotels, one tour about {topic}, and the price for {n} people.",
    "Itinerary request #{big}: {city} to {city}, {month} {n}, {n} travellers, slow pace, one child. Reply in our tone.",
    "Rewrite this offer for {name}: {n} nights in {city}, half board, {big} EUR each, departure {month} {n}.",
    "Which documents does {name} need to travel from {city} to {city} in {month}? Keep it under {big} words.",
    "Confirm the booking of {name}: {city}, {n} rooms, arrival {month} {n}, reference {big}. Friendly, no emojis.",
    "Suggest restaurants in {city} for a group of {n} who like {topic}; dinner on {month} {n}, up to {big} euros.",
    "Flight {big} to {city} is cancelled. Write to {name} and offer {month} {n} or a refund.",
    "Compare {city} and {city} for a family of {n} in {month}: weather, prices, what to see. Two paragraphs.",
)

EVALUATIONS = (
    "Question: {name} has {n} {noun}s and buys {big} more, then gives away {n}. How many are left?\nLet's think step by step.\nAnswer:",
    "The following is a multiple choice question about {field}.\nWhich of these best explains {topic}?\nA. {answer}\nB. {answer}\nC. {answer}\nD. {answer}\nAnswer:",
    'Complete the function.\n\ndef {verb}_{noun}(items: list[int]) -> int:\n    """Return the {n}th {noun} after {verb}, or {big}."""\n',
    "Q: {topic} or {topic}: which was known first?\nThink step by step, then finish with 'The answer is (X)'.",
    "Choose the better ending. Context: {name} went to {city} in {month}.\n(1) {answer}.\n(2) {answer}.\nReply with 1 or 2.",
    "You are judging a chat bot. Question: what drives {topic}? Response: {answer}. Rate the response on a scale of 1 to 10 and reply with the number.",
    "Passage: {answer}. {answer}. Question: does it support that {topic} matter in {field}? True or False?",
    "Answer with one letter only. In {field}, what follows when {noun} exceeds {big}? (A) {answer} (B) {answer}",
    "Score this answer against the rubric (0 to 5). Rubric: names {topic}; cites {field}. Answer: {answer}. Score:",
    "{topic} in {field}: which holds, (A) {answer} or (B) {answer}? Explain your reasoning before giving the final answer.",
    "Problem {big}: {name} buys {n} {noun}s and sells {n}. Show your reasoning, then write the result in detail on the last line.",
    "Consider {topic}. Is it true that {answer}? Give your reasoning before you answer with yes or no.",
)

BATCHES = (
    "Classify the sentiment of this review as positive, negative or neutral.\nReview: The {thing} {mood}.\nSentiment:",
    'Return JSON with the keys product, issue, urgent for this ticket: "My {thing} {mood}. Order {big}, {name}."',
    "Which department should get this mail: sales, billing, support, other? Mail: Hello, the {thing} {mood}. Regards, {name}",
    "Label: spam or ham. Text: {name}, your {thing} {mood}, reply with {big} to claim.",
    "Extract every date, amount and name. Text: On {month} {n} {name} paid {big} for a {thing} that {mood}.",
    "Translate into German, only the translation: The {thing} {mood}, wrote {name} from {city}.",
    "Summarise the complaint in at most ten words: {name} says that the {thing} {mood} since {month}.",
    "Is the following sentence about delivery, quality or price? 'The {thing} {mood}.' One word.",
    "Give this review one to five stars, digit only: the {thing} {mood}. ({city}, {month})",
)

_KINDS = {
    "agents": (AGENTS, 2),
    "travel": (TRAVEL, 3),
    "evaluations": (EVALUATIONS, 2),
    "batches": (BATCHES, 1),
}
KINDS = tuple(_KINDS)


def written(kind: str, count: int, part: Part, draw: random.Random) -> list[str]:
    """The prompts of one account of a kind, in order."""
    templates, most = _KINDS[kind]
    own = draw.sample(part_of(templates, part), most)
    return [filled(draw.choice(own), draw) for _ in range(count)]
