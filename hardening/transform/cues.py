"""English words and phrases that tell what part a sentence plays in a trace."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


DOUBT = _words(
    "wait hm hmm hmmm oh ah uh um huh unsure confuse confused confusing confusion mistake mistakes mistaken wrong "
    "incorrect maybe perhaps alternatively actually anyway guess nevermind sorry stuck doubt missed forgot yeah yep"
)
"""Words that leave in no sentence, whatever it is taken for."""
SELF_TALK = DOUBT | _words(
    "might no yes hold right tricky interesting wonder wondering seem seems seemed think thinking thought suppose believe feel mean"
)
CHECK = _words(
    "check checks checked checking recheck double verify verifies verified verifying confirm confirms confirmed "
    "confirming test tests tested testing plug plugging plugged consistent match matches matched example examples "
    "instance say imagine counterexample counterexamples try trying tries sanity sense"
)
VERIFYING = _words(
    "check checks checked checking recheck double verify verifies verified verifying confirm confirms confirmed "
    "confirming plug plugging plugged"
)
"""Of these no plan speaks that may leave."""
DERIVATION = _words(
    "therefore thus hence so consequently accordingly implies implying follows means meaning meant give gives given "
    "yield yields yielding result results resulting equal equals equaling become becomes leave leaves leaving left get "
    "gets getting got obtain obtains obtained simplify simplifies simplified substitute substituting plus minus times "
    "multiply multiplied multiplying divide dividing subtract subtracted subtracting add adds added adding "
    "summing totals totaling halve halving doubling triple tripling remaining "
    "remain remains spend spends spent earn earns earned buy bought sell sold cost costs because due thats again "
    "previous previously earlier cannot can't"
)
SELF_TALK_PHRASES = (
    "let me see",
    "let's see",
    "let's say",
    "not sure",
    "step by step",
    "what i know about",
)
CHECK_PHRASES = ("e g", "does it work", "works out")
DERIVATION_PHRASES = (
    "in this case",
    "must be",
    "has to be",
    "would be",
    "will be",
    "that's",
    "this is",
    "these are",
    "from this",
    "from that",
    "from above",
    "as above",
    "as before",
)
COMMON = _words(
    "a an the of to in is are and or that for with on by from as at be can need we i will it how many which what have "
    "has their its find use when between i'm i'll let me my start out figure would should could this these about into "
    "than them they each both who why where must there you your not if some problem question through different other "
    "also like most more goes go any been does do something only"
)
"""Words that one in four is of, in an English sentence."""
OPEN_ENDS = _words(
    "a an the of to in is are was were and or that this for with on by from as at be can how which what its why after"
)
"""Words that do not end a sentence: what they lead to was cut off."""
HOLLOW = COMMON | _words(
    "here have know think break down start step steps understand recall remember riddle puzzle analogy sequence "
    "statement came across thing things something solve answer trying going given probability another also understanding"
)
"""Words that say nothing of what a trace is about."""
