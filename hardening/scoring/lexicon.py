"""What requests say that copy a model: phrases by class, in English and ten other languages.

One phrase says nothing, and no class does alone; `levels` says which classes together are a sign. Case is
folded, and hyphens, line ends and the like are as good as blanks.
"""

from __future__ import annotations

import re
import unicodedata
from enum import IntEnum

from hardening.kernels.phrases import Phrases, compiled


class Class(IntEnum):
    """What phrases are about; the bit of each in the automaton."""

    STEPS = 0
    REASONING = 1
    TRACE = 2
    WHOLE = 3
    FINISHED = 4
    GRADE = 5
    SCALE = 6
    CANDIDATE = 7
    CORPUS = 8
    MANY = 9
    MAKE = 10


_STEPS = (
    "step by step", "each step", "every step", "steps by steps",
    "逐步", "一步一步", "一步步", "每一步",
    "шаг за шагом", "пошагов*", "каждый шаг",
    "paso a paso", "cada paso", "étape par étape", "chaque étape",
    "schritt für schritt", "jeden schritt", "passo a passo", "cada passo",
    "段階的", "一歩ずつ", "ステップごと", "ステップバイステップ",
    "단계별로", "한 단계씩", "خطوة بخطوة", "كل خطوة", "चरण दर चरण", "कदम दर कदम", "हर चरण",
)  # fmt: skip
_REASONING = (
    "reasoning", "intermediate conclusion*", "line of thinking", "思路",
    "рассуждени*", "razonamiento", "raisonnement", "überlegungen", "begründungsweg", "raciocínio", "推論", "추론", "استدلالك",
)  # fmt: skip
_TRACE = (
    "chain of thought", "chains of thought", "train of thought", "reasoning trace*", "reasoning process", "internal reasoning", "reasoning steps",
    "thought process", "thinking process", "internal monologue", "think out loud", "think aloud", "scratchpad", "inner thoughts",
    "思维链", "推理过程", "思考过程", "推理步骤", "цепочк* рассуждени*", "цепочку рассуждений", "ход мыслей", "ход рассуждений",
    "cadena de pensamiento", "proceso de pensamiento", "chaîne de pensée", "processus de réflexion",
    "gedankenkette", "gedankengang", "gedankengänge", "denkprozess", "cadeia de pensamento", "processo de pensamento",
    "思考の過程", "思考過程", "推論過程", "推論の過程", "사고 과정", "추론 과정", "생각의 과정", "사고의 흐름",
    "سلسلة أفكارك", "سلسلة التفكير", "عملية التفكير", "خطوات التفكير",
    "विचार श्रृंखला", "सोचने की प्रक्रिया", "तर्क प्रक्रिया", "विचार प्रक्रिया",
)  # fmt: skip
_WHOLE = (
    "in full", "in detail", "full", "complete", "entire", "verbatim", "raw", "transparent", "do not skip", "don't skip", "without skipping",
    "nothing omitted", "do not omit", "don't omit", "without omitting", "do not summarise", "do not summarize", "don't summarize",
    "before the final answer", "before answering", "before you answer", "before stating", "before giving", "write out", "every inference", "each inference",
    "完整", "不要省略", "详细", "全部", "最终答案之前",
    "полную", "полный", "полностью", "ничего не пропуская", "подробно", "прежде чем дать",
    "completa", "completo", "sin omitir", "detallad*", "antes de dar",
    "complète", "sans rien omettre", "en entier", "détaillé*", "avant de donner", "toute ta", "tout ton",
    "vollständig*", "ohne etwas auszulassen", "ausführlich*", "bevor du",
    "todo o seu", "sem omitir", "por extenso", "antes de dar",
    "すべて", "省略せず", "詳細に", "最終的な答えの前",
    "빠짐없이", "모두", "자세히", "최종 답",
    "كاملة", "كاملا", "دون حذف", "بالتفصيل", "قبل الإجابة",
    "पूरी", "पूरा", "विस्तार से", "कुछ भी मत छोड़*", "उत्तर देने से पहले",
)  # fmt: skip
_FINISHED = (
    "correct answer is", "final answer is", "given the answer", "given the final answer", "behind this answer", "behind the answer",
    "that leads to it", "that produced it", "finished solution", "finished answer", "reconstruct", "articulate", "self correction",
    "正确答案是", "правильный ответ", "respuesta correcta es", "la bonne réponse est", "die richtige antwort ist",
    "resposta correta é", "正解は", "정답은", "الإجابة الصحيحة هي", "सही उत्तर",
)  # fmt: skip
_GRADE = (
    "rubric", "grade", "grader", "grading", "score", "scoring", "rate", "reward model", "preference score", "evaluate", "marking sheet",
    "评分", "打分", "оцен*", "califica", "puntúa", "puntuación", "notez", "évalue", "bewerte*", "avalie", "pontue",
    "採点", "評価", "채점", "평가", "قيم", "درجة", "मूल्यांकन", "अंक दो",
)  # fmt: skip
_SCALE = (
    "scale of", "from 0 to", "from 1 to", "0 to 10", "1 to 10", "1 to 5", "0 to 5", "0 5", "0 10", "1 10", "1 5", "0 to 4", "total score",
    "criteria", "criterion", "kriterien", "критери*", "criterios", "critères", "critérios", "标准", "基準", "기준", "معايير", "मानदंड",
)  # fmt: skip
_CANDIDATE = (
    "response a", "response b", "assistant a", "assistant b", "answer a", "answer b", "candidate answer", "candidate response", "reference answer",
    "the response", "the assistant's answer", "student's answer", "model's answer", "the answer below", "the response below",
)  # fmt: skip
_CORPUS = (
    "training data", "training set", "training example*", "fine tuning", "finetuning", "fine tune", "instruction dataset", "instruction response",
    "instruction output", "instruction tuning", "a dataset of", "user queries", "a user query",
    "synthetic", "synthesise", "synthesize", "jsonl", "train an assistant", "train a model", "trajector*", "conversations between", "simulate a user", "simulate tool use", "invent a task",
    "the function calls", "tool calls", "call observation", "calls and observations", "json schemas", "more complex version", "given prompt", "rewritten prompt", "brand new prompt",
    "with inputs and outputs", "self instruct", "训练数据", "обучающ* данн*", "datos de entrenamiento", "données d'entraînement", "trainingsdaten",
)  # fmt: skip
_MANY = (
    "diverse", "pairs", "variety", "a set of", "a series of", "dataset", "multi turn", "increasing difficulty",
    "avoid repeating", "多样", "разнообразн*", "divers*", "vielfältig*",
)  # fmt: skip
_MAKE = (
    "generate", "create", "write", "produce", "rewrite", "invent", "compose", "draft", "synthesise", "synthesize", "simulate", "come up with", "make up", "put together",
    "生成", "создай*", "сгенерируй*", "genera", "crea", "génère", "crée", "erzeuge", "erstelle",
)  # fmt: skip
_CLASSES = (_STEPS, _REASONING, _TRACE, _WHOLE, _FINISHED, _GRADE, _SCALE, _CANDIDATE, _CORPUS, _MANY, _MAKE)

_UNSEEN = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\u00ad\ufeff]+")
"""Characters that nobody sees: they would break phrases up."""

LEVELS = 4
"""Of each sign: nothing, a hint that honest people give daily, what they seldom say, what is hardly said by chance."""


def phrases() -> Phrases:
    """The automaton of all classes."""
    return compiled([[folded(phrase) for phrase in group] for group in _CLASSES])


def folded(text: str) -> str:
    """A text as phrases are looked for in it: without case, widths and what nobody sees."""
    if text.isascii():
        return text.lower()
    return _UNSEEN.sub("", unicodedata.normalize("NFKC", text)).casefold()


def elicitation(counts: list[int]) -> int:
    """How much a request asks for the reasoning itself, or for one behind a finished answer."""
    steps, reasoning, trace = counts[Class.STEPS], counts[Class.REASONING], counts[Class.TRACE]
    more = counts[Class.WHOLE] + counts[Class.FINISHED]
    if trace and (more or steps):
        return 3
    if reasoning and more:
        return 3 if more + steps > 3 else 2
    return 1 if steps or reasoning or trace else 0


def grading(counts: list[int]) -> int:
    """How much a request uses the model to grade answers of others."""
    grade, scale, candidate = (counts[at] > 0 for at in (Class.GRADE, Class.SCALE, Class.CANDIDATE))
    return grade + scale + candidate if grade else 0


def synthesis(counts: list[int]) -> int:
    """How much a request asks for data to train on to be made; whoever builds with models names such data all day."""
    corpus, many = counts[Class.CORPUS], counts[Class.MANY]
    if not corpus:
        return 0
    if not counts[Class.MAKE]:
        return 1
    return 1 + (many > 0 or corpus > 1) + (many > 0 and corpus > 1)
