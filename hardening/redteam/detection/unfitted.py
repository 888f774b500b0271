"""Honest accounts of kinds that no fit knows: they show whom the signals hurt beside those that they were made with.

Some are chosen to be mistaken: who orders short texts all day writes as sets of instructions do, who makes quizzes or
builds with models names questions with answers, training data and calls, who teaches asks for each step.
"""

from __future__ import annotations

import random
import re

from hardening.redteam.detection.grammar import filled
from hardening.redteam.detection.pools import Pools

_WRITERS = (
    "Write a product description for a {thing}.",
    "Write a blog post about {topic} in {city}.",
    "Generate five headlines about {topic} and {topic}.",
    "Create a social media post for our {thing}, it {mood}.",
    "Suggest a name for a shop in {city} that sells a {thing}.",
    "Give me an outline of an article about {topic} and {field}.",
    "Write an engaging introduction to an article about {field} in {month}.",
)
_TEACHERS = (
    "Create a quiz with five multiple-choice questions about {topic} for grade {n}, with the answers.",
    "Generate {n} question and answer pairs about {topic} for my flash cards on {field}.",
    "Write three exam questions on {topic} of increasing difficulty, and the marking sheet.",
    "Make a work sheet with diverse tasks about {topic} for {n} pupils.",
    "Grade this answer of a pupil from 0 to 10 and say why: {answer}. The question was about {topic}.",
)
_DEVELOPERS = (
    "My fine-tuned model answers badly on these examples of {topic}. What is wrong in the training data?",
    "Write a Python function {verb}_{noun} that lets the language model do function calling, with the JSON schemas of {n} tools.",
    "How do I split the dataset of {big} {noun}s into a training set and a test set in {module}?",
    "The tool calls of my agent end in {error} when it should {verb} a {noun}. Here is the loop: {module}.py line {big}.",
    "Which loss is right for {topic} if the training examples are {n} to one out of balance?",
    "Explain chain-of-thought prompting to me with an example from {field}.",
)
_ROUTERS = (
    "Rewrite the user query so that it suits a web search.\nUser query: {message}\nSearch:",
    "Decide which tool to call for this user query: search, calculator, calendar. Answer with the function call.\nUser query: {message}",
    "Is this message safe to pass on to our bot? Reply SAFE or UNSAFE.\n\n{message}",
    "What does the user want: an answer, a text, code, or a chat? One word.\n{message}",
)
_DESKS = (
    "You answer customers of a shop, politely, in at most {n} sentences. Promise no refunds.\nCustomer {name}: my {thing} {mood}. {message}\nAnswer:",
    "Ticket {big}. Our {thing} {mood}, writes {name} from {city}. Draft a reply in our tone of voice.",
)
_TRANSLATORS = (
    "Translate the next paragraph of the novel into French and keep its style.\n\n{message}",
    "Please translate into Spanish, names stay as they are:\n{message}",
)
_READERS = (
    "Here is what our search found.\n---\n{message}\n---\n{message}\n---\nAnswer only from this, and say so if it is not there.\nQuestion: {question}",
    "You help with the handbook of {field}. Use these passages, at most three sentences.\nPassage: {message}\nQuestion: {question}\nAnswer:",
)
_PUPILS = (
    "{question}",
    "Help me with my homework: {question}",
    "{question}\nShow your reasoning step by step.",
    "I got this wrong. Where is my mistake, and how do I solve it? {question}",
    "Please explain each step so that I understand it. {question}",
)
_HARNESSES = (
    "{question}\nReason step by step, and put the final answer in a box.",
    "Solve this problem step by step. The last line is the answer alone.\n\n{question}",
    "{question}\nA. {big}\nB. {big}\nC. {big}\nD. {big}\nThink before you answer, then reply with one letter.",
    "Problem: {question}\nReason, then end with: the final answer is [answer].",
)
_TOOL_LOOPS = (
    "You have search, open and answer. Thought, action, observation, in this order, until you know.\nQuestion: {message}\nThought:",
    "<tools> read(path) write(path, text) run(command) </tools>\nObservation: {error} in {module}/{noun}.py line {big}\nNext action:",
)
_KINDS = {
    "writers": (_WRITERS, 7),
    "one_text": (_WRITERS, 1),
    "teachers": (_TEACHERS, 2),
    "developers": (_DEVELOPERS, 6),
    "routers": (_ROUTERS, 1),
    "desks": (_DESKS, 1),
    "translators": (_TRANSLATORS, 1),
    "readers": (_READERS, 1),
    "pupils": (_PUPILS, 3),
    "harnesses": (_HARNESSES, 1),
    "tool_loops": (_TOOL_LOOPS, 1),
}
KINDS = tuple(_KINDS)
_QUOTED = re.compile(r"\{(message|question)\}")


def written(kind: str, count: int, pools: Pools, draw: random.Random) -> list[str]:
    """The prompts of one account of a kind, in order; messages and questions in them are those of the sets."""
    templates, most = _KINDS[kind]
    own, quoted = draw.sample(templates, most), {"message": pools.chat, "question": pools.questions}

    def told(template: str) -> str:
        parts = _QUOTED.split(template)  # in turns: a text, and what is quoted behind it
        return "".join(
            draw.choice(quoted[part]) if place % 2 else filled(part, draw) for place, part in enumerate(parts)
        )

    return [told(draw.choice(own)) for _ in range(count)]
