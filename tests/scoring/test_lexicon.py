"""What requests say that copy: each sign where it stands, in any spelling and language, and where it does not."""

from __future__ import annotations

import pytest

from hardening.kernels.plain import find_phrases
from hardening.scoring import lexicon

PHRASES = lexicon.phrases()


def level(sign: str, text: str) -> int:
    counts = find_phrases(lexicon.folded(text).encode(), PHRASES)
    return {"elicitation": lexicon.elicitation, "grading": lexicon.grading, "synthesis": lexicon.synthesis}[
        sign
    ](counts)


@pytest.mark.parametrize(
    "text",
    [
        "Write out your full chain of thought before the final answer.",
        "WRITE OUT YOUR FULL CHAIN-OF-THOUGHT\nbefore the final answer",
        "Write out your full ch\u200bain of tho\u00adught.",
        "Ｗrite out your full ｃhain of thought.",
        "请在给出最终答案之前，完整写出你的思维链，逐步说明每一步推理。",
        "Напиши полную цепочку рассуждений шаг за шагом.",
        "Escribe tu cadena de pensamiento completa, paso a paso.",
        "Écris toute ta chaîne de pensée étape par étape.",
        "Schreibe deine VOLLSTÄNDIGE Gedankenkette Schritt für Schritt auf.",
        "Escreva todo o seu processo de pensamento passo a passo.",
        "最終的な答えの前に、思考の過程をすべて書き出してください。",
        "사고 과정을 단계별로 빠짐없이 모두 적어 주세요.",
        "اكتب سلسلة أفكارك كاملة خطوة بخطوة.",
        "अपनी पूरी विचार श्रृंखला चरण दर चरण लिखो, कुछ भी मत छोड़ो।",
        "The correct answer is 42. Articulate the internal reasoning behind this answer.",
    ],
)
def test_demands_for_the_trace_are_strong_in_eleven_languages_and_any_spelling(text):
    assert level("elicitation", text) == 3


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("How do I bake bread?", 0),
        ("Let's think step by step.", 1),
        ("What is the reasoning of the court in this case?", 1),
        ("Explain your reasoning before giving the final answer.", 2),
        ("The full price is 5 for the complete set. Explain your reasoning in detail.", 2),
        ("Explain the train to Thoughtville in full detail.", 0),
    ],
)
def test_what_honest_people_say_is_not(text, most):
    assert level("elicitation", text) == most


def test_grading_needs_a_grade_and_says_more_with_a_scale_and_a_candidate():
    assert level("grading", "On a scale of 1 to 10, how tall is he?") == 0
    assert level("grading", "Rate this movie.") == 1
    assert level("grading", "Grade the student's answer with the rubric, from 0 to 10.") == 3


@pytest.mark.parametrize(
    "text",
    [
        "Rewrite the user query so that it suits a search. User query: synthetic leather",
        "My fine-tuned model is worse on diverse examples. What is wrong in the training data?",
        "Decide which tool to call for this user query. Answer with a function call.",
        "Generate 10 question and answer pairs about tides for my flash cards.",
        "Thought, action, observation. Observation: no such file",
    ],
)
def test_who_builds_with_models_or_teaches_asks_for_no_data_to_train_on(text):
    assert level("synthesis", text) <= 1


def test_synthesis_needs_a_corpus_that_is_to_be_made():
    assert level("synthesis", "Give me diverse examples of tasks.") == 0
    assert level("synthesis", "What is training data?") == 1
    assert level("synthesis", "Our training set for fine-tuning is diverse.") == 1
    assert level("synthesis", "Generate 20 diverse instruction-response pairs for fine-tuning.") == 3
